/**
 * Clients that mean ill, or know no better, beside one that behaves (P7): it is served, every call of it;
 * they are refused with typed errors, held back or cut off; the node does not grow. How long calls take
 * meanwhile is measured, not tested: docs/limits.md.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Call, NodeMessage, Topology } from '@kv/protocol'
import {
  BATCH_HEADROOM_BYTES,
  decodeNodeMessage,
  encodeBatch,
  encodeMessage,
  ERROR_RULES,
  OUTCOMES,
  PROTOCOL_VERSION,
  shardOf,
  WireWriter,
  writeReadCall,
  writeWriteCall,
} from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { residentBytes } from './scene/process-table.js'
import { sceneOfTest } from './scene/scene.js'
import type { Scene } from './scene/scene.js'
import { openWebSocket } from './scene/web-socket.js'

const CALLS = 40
const EACH_KIND = 3
const GROWTH_BYTES_MAX = 768 * 1_048_576
/** All share a process with who behaves: it is to have some time, too. */
const FLOOD_PAUSE_MS = 20
const FLOOD_BYTES_MAX = 1_048_576
const VALUE = new Uint8Array(4_096).fill(0x61)

/** A client that honours no limit. */
class Abuser {
  refusal: Extract<NodeMessage, { type: 'refused' }> | undefined
  isOver = false
  topology!: Topology
  private readonly socket: Awaited<ReturnType<typeof openWebSocket>>
  private lastId = 0

  private constructor(socket: Awaited<ReturnType<typeof openWebSocket>>) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.isOver = true
    })
  }

  static async begin(scene: Scene, url: string): Promise<Abuser> {
    const socket = await openWebSocket(url)
    const abuser = new Abuser(socket)
    scene.onEnd(() => socket.terminate())
    const secret = new Uint8Array()
    const hello = { protocolVersion: PROTOCOL_VERSION, clientId: 0, secret, token: '', name: '' }
    socket.send(encodeMessage({ type: 'hello', ...hello }))
    const [bytes] = (await once(socket, 'message')) as [Buffer]
    const welcome = decodeNodeMessage(bytes)
    if (welcome.type !== 'welcome') throw new Error(welcome.type)
    abuser.topology = welcome.topology
    socket.on('message', (message: Buffer) => {
      if (abuser.refusal !== undefined) return
      const heard = decodeNodeMessage(message)
      if (heard.type === 'refused') abuser.refusal = heard
    })
    return abuser
  }

  /** As fast as the socket takes it, until it is cut off. */
  async flood(atOnce: number, message: (id: number) => Uint8Array): Promise<void> {
    while (!this.isOver) {
      for (let round = 0; round < atOnce; round += 1) this.socket.send(message((this.lastId += 1)))
      do await delay(FLOOD_PAUSE_MS)
      while (this.socket.bufferedAmount > FLOOD_BYTES_MAX && !this.isOver)
    }
  }

  readNothing(): void {
    this.socket.pause()
  }

  /** The first page of every shard of a child. */
  scans(id: number): Uint8Array {
    const child = this.topology.primaries[id % this.topology.shardCount] as number
    const calls = this.topology.primaries.flatMap((primary, shard): Call[] =>
      primary === child ? [{ type: 'scan', shard, from: '', to: undefined, ...WHOLE }] : [],
    )
    return this.batch(id, child, 'reads', calls)
  }

  sets(id: number): Uint8Array {
    const { primaries, shardCount } = this.topology
    const keys = Array.from({ length: 40 }, (_, index) => `abuse/${(id * 40 + index) % 20_000}`)
    const child = primaries[shardOf(keys[0] as string, shardCount)] as number
    const own = keys.filter((key) => primaries[shardOf(key, shardCount)] === child)
    const calls = own.map((key): Call => ({ type: 'set', key, ...OF_VALUE }))
    return this.batch(id, child, 'writes', calls)
  }

  private batch(
    id: number,
    child: number,
    kind: 'reads' | 'writes',
    calls: readonly Call[],
  ): Uint8Array {
    const writer = new WireWriter(4_096, BATCH_HEADROOM_BYTES)
    for (const call of calls) {
      if (call.type === 'scan') writeReadCall(writer, call)
      else writeWriteCall(writer, call)
    }
    const head =
      kind === 'reads' ? { kind } : { kind, firstSequence: id * 100, lowWater: id * 100 - 1 }
    const { version: topologyVersion } = this.topology
    const envelope = { id, child, topologyVersion, remainingMs: 10_000 }
    return encodeBatch(envelope, head, calls.length, writer)
  }
}

const WHOLE = { limit: 1_000, reverse: false, keysOnly: false }
const OF_VALUE = {
  source: VALUE,
  start: 0,
  end: VALUE.length,
  expiry: { kind: 'none' },
  ifVersion: undefined,
} as const

const PING = encodeMessage({ type: 'ping', nonce: 1 })

describe('abuse', () => {
  test('floods, slow readers, silent and half connections → who behaves is served, the node does not grow', async () => {
    const scene = sceneOfTest()
    const node = await scene.serve({ children: 2 })
    const client = scene.client({ url: node.url, timeout: 30_000 })
    await client.setMany(Array.from({ length: 4_000 }, (_, n) => [`key/${n}`, VALUE] as const))
    const before = memoryOf([node.pid, ...node.childPids()])
    for (let number = 0; number < EACH_KIND; number += 1) {
      const [slow, greedy, writer, pinger] = await Promise.all(
        Array.from({ length: 4 }, () => Abuser.begin(scene, node.url)),
      )
      slow!.readNothing()
      void slow!.flood(2, (id) => slow!.scans(id))
      void greedy!.flood(2, (id) => greedy!.scans(id))
      void writer!.flood(2, (id) => writer!.sets(id))
      void pinger!.flood(300, () => PING)
      for (let silent = 0; silent < 50; silent += 1) {
        const socket = connect(Number(new URL(node.url).port), '127.0.0.1')
        socket.on('error', () => undefined)
        if (silent % 2 === 0) socket.write('GET / HTTP/1.1\r\nhost: ')
        scene.onEnd(() => void socket.destroy())
      }
    }
    let peak = 0
    for (let call = 0; call < CALLS; call += 1) {
      const key = `kept/${call}`
      await client.set(key, call)
      expect(await client.get(key)).toBe(call)
      if (call % 5 === 0) peak = Math.max(peak, memoryOf([node.pid, ...node.childPids()]))
    }
    expect(peak - before).toBeLessThan(GROWTH_BYTES_MAX)
    expect(node.hasEnded).toBe(false)
  }, 120_000)

  test('one child is stopped under many clients → the others serve; it goes on, and every call is answered', async () => {
    const scene = sceneOfTest()
    const node = await scene.serve({ children: 2, pingTimeoutMs: 60_000 })
    const clients = Array.from({ length: 20 }, () =>
      scene.client({ url: node.url, timeout: 60_000, direct: false }),
    )
    await Promise.all(clients.map((client) => client.connect()))
    const abuser = await Abuser.begin(scene, node.url)
    const [stopped] = node.childPids()
    const { topology } = abuser
    const ofChild = (child: number): string[] =>
      Array.from({ length: 2_000 }, (_, index) => `stopped/${index}`).filter(
        (key) => topology.primaries[shardOf(key, topology.shardCount)] === child,
      )
    const [first, second] = [ofChild(1).slice(0, 500), ofChild(2).slice(0, 500)]
    process.kill(stopped as number, 'SIGSTOP')
    const stuck: Promise<unknown>[] = []
    try {
      for (const keys of [first, second]) {
        const writes = clients.map((client) => client.setMany(keys.map((key) => [key, 1] as const)))
        stuck.push(...writes)
      }
      // Half of what was called goes to the child that lives: all of that is answered.
      const settled = { count: 0 }
      for (const write of stuck) void write.then(() => (settled.count += 1))
      await expect.poll(() => settled.count, { timeout: 60_000 }).toBe(clients.length)
      void abuser.flood(8, (id) => abuser.sets(id))
      await expect
        .poll(() => abuser.refusal, { timeout: 60_000 })
        .toMatchObject({
          code: ERROR_RULES.OVERLOADED.wire,
          outcome: OUTCOMES.indexOf('not-applied'),
        })
    } finally {
      process.kill(stopped as number, 'SIGCONT')
    }
    await Promise.all(stuck)
  }, 120_000)
})

function memoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + residentBytes(pid), 0)
}
