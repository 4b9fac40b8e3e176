/** The whole coordinator on a real directory and port; only the children are played. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientMessage, NodeMessage } from '@kv/protocol'
import {
  CLOSE_CODES,
  ERROR_RULES,
  HELLO_BYTES_MAX,
  PROTOCOL_VERSION,
  decodeNodeMessage,
  encodeMessage,
} from '@kv/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { ChildListener, RunningChild } from './child-process.js'
import type { CoordinatorSettings } from './coordinator.js'
import { PLAIN_SETTINGS } from './testing/plain-settings.js'
import { PlayedChild } from './testing/played-child.js'
import { Coordinator } from './coordinator.js'

const SHARDS = 16
const BODY = Uint8Array.of(1, 2, 3)

/** A client on a real WebSocket. */
class Client {
  readonly socket: WebSocket
  private readonly inbox: NodeMessage[] = []
  private wake: () => void = () => {}

  constructor(port: number, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers })
    this.socket.on('message', (bytes) => {
      this.inbox.push(decodeNodeMessage(bytes as Buffer))
      this.wake()
    })
    this.socket.on('error', () => {})
  }

  static async welcome(
    port: number,
    clientId = 0,
    secret: Uint8Array = new Uint8Array(),
  ): Promise<{ client: Client; welcome: Extract<NodeMessage, { type: 'welcome' }> }> {
    const client = new Client(port)
    await once(client.socket, 'open')
    const protocolVersion = PROTOCOL_VERSION
    client.says({ type: 'hello', protocolVersion, clientId, secret, token: '', name: 'test' })
    return { client, welcome: await client.next('welcome') }
  }

  says(message: ClientMessage): void {
    this.socket.send(encodeMessage(message))
  }

  batch(id: number, child = 1): void {
    const envelope = { id, child, topologyVersion: 1, remainingMs: 1_000 }
    this.says({ type: 'batch', ...envelope, body: BODY })
  }

  /** The next message of this type; others before it are dropped. */
  async next<Type extends NodeMessage['type']>(
    type: Type,
  ): Promise<Extract<NodeMessage, { type: Type }>> {
    for (;;) {
      const message = this.inbox.shift()
      if (message?.type === type) return message as Extract<NodeMessage, { type: Type }>
      if (message === undefined) await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }

  async closeCode(): Promise<number> {
    const [code] = (await once(this.socket, 'close')) as [number]
    return code
  }
}

let dataDir: string
let children: PlayedChild[]
let running: Coordinator | undefined

async function start(changes: Partial<CoordinatorSettings> = {}): Promise<Coordinator> {
  running = await Coordinator.start(
    {
      ...PLAIN_SETTINGS,
      volumes: [dataDir],
      children: 2,
      newShards: SHARDS,
      fork: (listener) => {
        const child = new PlayedChild(listener)
        children.push(child)
        return child
      },
      ...changes,
    },
    { onTopology: () => {}, onChildExit: () => {}, onFailover: () => {}, onMove: () => {} },
  )
  return running
}

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'kv-coordinator-'))
  children = []
})

afterEach(async () => {
  await running?.close()
  running = undefined
  await rm(dataDir, { recursive: true })
})

describe('coordinator: start', () => {
  test('a new directory → every shard open, balanced, healthy', async () => {
    const node = await start()
    const topology = node.topology()
    expect(topology.shards.map((shard) => shard.state)).toEqual(
      Array.from({ length: SHARDS }, () => 'open'),
    )
    expect(topology.shards.filter((shard) => shard.primary === 1)).toHaveLength(SHARDS / 2)
    expect(topology.shards[3]!.copies).toEqual([
      {
        copy: 0,
        child: topology.shards[3]!.primary,
        directory: join(dataDir, 'shards', '3', '0'),
        state: 'open',
        role: 'primary',
      },
    ])
    const answers = await Promise.all(
      ['/livez', '/readyz', '/', '/else'].map((path) =>
        fetch(`http://127.0.0.1:${node.port}${path}`),
      ),
    )
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 426, 404])
    const [stats, same] = await Promise.all([node.stats(), node.stats()])
    expect(same).toBe(stats)
    expect(stats).toMatchObject({
      coordinator: { connections: 0, batchesInFlight: 0 },
      children: [{ id: 1 }, { id: 2 }],
    })
  })

  test('the directory is in use → refused', async () => {
    const first = await start()
    await expect(start()).rejects.toThrow('is in use by another kv node')
    running = first
  })

  test('the port is in use → refused, and the directory is free again', async () => {
    const first = await start()
    const { port } = first
    const other = await mkdtemp(join(tmpdir(), 'kv-coordinator-'))
    await expect(start({ volumes: [other], port })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `can't listen on 127.0.0.1:${port}: the port is in use`,
    })
    const second = await start({ volumes: [other] })
    await second.close()
    await rm(other, { recursive: true })
    running = first
  })

  test('another number of shards than the directory has → refused, with both numbers', async () => {
    await (await start({ shards: SHARDS })).close()
    await expect(start({ shards: 32 })).rejects.toThrow(
      `shards is 32, but ${dataDir} was created with ${SHARDS}`,
    )
  })

  test('children that end at once → refused, with the reason', async () => {
    const fork = (listener: ChildListener): RunningChild => {
      const child = new PlayedChild(listener)
      child.ends(1)
      return child
    }
    await expect(start({ fork })).rejects.toThrow('ended 5 times in a row')
  })
})

describe('coordinator: clients', () => {
  test('HELLO, a batch, its reply → over a real socket', async () => {
    const node = await start()
    const { client, welcome } = await Client.welcome(node.port)
    expect(welcome.topology.primaries).toHaveLength(SHARDS)
    client.batch(7)
    expect(await client.next('reply')).toMatchObject({ batchId: 7, body: Buffer.from(BODY) })
    client.socket.terminate()
  })

  test('a child dies with a batch in flight → UNAVAILABLE; its shards come back', async () => {
    const node = await start()
    const { client, welcome } = await Client.welcome(node.port)
    children[0]!.isMute = true
    client.batch(1)
    // The echo of the other child tells that the coordinator has handed over the first batch too.
    client.batch(2, 2)
    await client.next('reply')
    children[0]!.ends(null)
    expect(await client.next('refused')).toMatchObject({
      batchId: 1,
      code: ERROR_RULES.UNAVAILABLE.wire,
    })
    let topology = welcome.topology
    while (!topology.primaries.every((child) => child === 2)) {
      topology = (await client.next('topology')).topology
    }
    expect(topology.version).toBeGreaterThan(welcome.topology.version)
    client.socket.terminate()
  })

  test('a restart → the same cluster and placement; ids and versions go on growing', async () => {
    const first = await start()
    const before = await Client.welcome(first.port)
    const goodbye = before.client.closeCode()
    await first.close()
    expect(await goodbye).toBe(CLOSE_CODES.goingAway)
    const second = await start()
    const { clientId, secret, clusterId, topology } = before.welcome
    const same = await Client.welcome(second.port, clientId, secret)
    const fresh = await Client.welcome(second.port)
    expect(same.welcome).toMatchObject({ clusterId, clientId })
    expect(fresh.welcome.clientId).toBeGreaterThan(clientId)
    expect(fresh.welcome.topology.version).toBeGreaterThan(topology.version)
    expect(fresh.welcome.topology.primaries).toEqual(topology.primaries)
    expect(fresh.welcome.topology.epochs.every((epoch) => epoch === 2)).toBe(true)
  })

  test('too many connections, a foreign page, another path → turned away', async () => {
    const node = await start()
    const refused = async (client: Client): Promise<number | undefined> => {
      const [, response] = (await once(client.socket, 'unexpected-response')) as [
        unknown,
        { statusCode?: number },
      ]
      return response.statusCode
    }
    const foreign = new Client(node.port, { origin: 'https://evil.example' })
    expect(await refused(foreign)).toBe(403)
    const clients = []
    for (let count = 0; count < 3; count += 1) clients.push(await Client.welcome(node.port))
    expect(await refused(new Client(node.port))).toBe(503)
    for (const { client } of clients) client.socket.terminate()
  })

  test('too much before HELLO → ended before it is kept; afterwards it is welcome', async () => {
    const node = await start()
    const rude = new Client(node.port)
    await once(rude.socket, 'open')
    const closed = rude.closeCode()
    rude.socket.send(new Uint8Array(HELLO_BYTES_MAX * 4))
    await closed
    const { client } = await Client.welcome(node.port)
    const envelope = { id: 1, child: 1, topologyVersion: 1, remainingMs: 1_000 }
    client.says({ type: 'batch', ...envelope, body: new Uint8Array(HELLO_BYTES_MAX * 2) })
    expect(await client.next('refused')).toMatchObject({ code: ERROR_RULES.OVERLOADED.wire })
    client.socket.terminate()
  })
})
