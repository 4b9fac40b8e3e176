/** What a hundred clients do that mean ill, or know no better; each kind of them for ever. */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Call, Topology } from '@kv/protocol'
import {
  BATCH_HEADROOM_BYTES,
  encodeBatch,
  encodeMessage,
  NO_CHILD,
  shardOf,
  WireWriter,
  writeReadCall,
  writeWriteCall,
} from '@kv/protocol'
import { frameOf, RawConnection } from './raw-connection.js'

export const KINDS = [
  'slow readers',
  'readers of everything',
  'writers without end',
  'small messages',
  'half messages',
  'silent connections',
  'comers and goers',
] as const
export type Kind = (typeof KINDS)[number]

const VALUE = new Uint8Array(1_024).fill(0x61)
const PAUSE_MS = 100

/** Begins it on a connection of its own, and again when that is cut off. */
export async function abuse(kind: Kind, port: number): Promise<never> {
  for (let round = 0; ; round += 1) {
    try {
      await BEGIN[kind](port, round)
    } catch {
      // Refused, or cut off: that is what it is about.
    }
    await delay(PAUSE_MS)
  }
}

const BEGIN: Readonly<Record<Kind, (port: number, round: number) => Promise<void>>> = {
  'slow readers': async (port) => {
    const { raw, topology } = await RawConnection.welcome(port)
    raw.socket.pause()
    await flood(raw, (id) => scanOf(topology, id))
  },
  'readers of everything': async (port) => {
    const { raw, topology } = await RawConnection.welcome(port)
    await flood(raw, (id) => scanOf(topology, id))
  },
  'writers without end': async (port) => {
    const { raw, topology } = await RawConnection.welcome(port)
    await flood(raw, (id) => setsOf(topology, id))
  },
  'small messages': async (port) => {
    const { raw } = await RawConnection.welcome(port)
    const ping = frameOf(encodeMessage({ type: 'ping', nonce: 1 }))
    const many = Buffer.concat(Array.from({ length: 5_000 }, () => ping))
    while (!raw.isOver) if (!raw.write(many)) await drained(raw)
  },
  'half messages': async (port) => {
    const { raw } = await RawConnection.welcome(port)
    const whole = frameOf(new Uint8Array(1_300_000))
    raw.write(whole.subarray(0, whole.length - 1))
    await once(raw.socket, 'close')
  },
  'silent connections': async (port) => {
    const raws = Array.from({ length: 100 }, () => new RawConnection(port))
    await Promise.all(raws.map((raw) => once(raw.socket, 'close')))
  },
  'comers and goers': async (port) => {
    for (let connection = 0; connection < 100; connection += 1) {
      const { raw } = await RawConnection.welcome(port)
      raw.end()
    }
  },
}

async function flood(raw: RawConnection, batch: (id: number) => Uint8Array): Promise<void> {
  for (let id = 1; !raw.isOver; id += 1) if (!raw.send(batch(id))) await drained(raw)
}

async function drained({ socket }: RawConnection): Promise<void> {
  const isOver = new AbortController()
  const { signal } = isOver
  await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })])
  isOver.abort()
}

/** The first page of every shard of one child. */
function scanOf({ primaries, version }: Topology, id: number): Uint8Array {
  const children = Array.from(new Set(primaries)).filter((child) => child !== NO_CHILD)
  const child = children[id % children.length] as number
  const prepared = preparedOnce(`scan ${child}`, version, () => {
    const shards = primaries.flatMap((primary, shard) => (primary === child ? [shard] : []))
    const calls = shards.map((shard): Call => {
      const range = { from: '', to: undefined, limit: 1_000, reverse: false, keysOnly: false }
      return { type: 'scan', shard, ...range }
    })
    return prepare(child, version, calls)
  })
  return batchOf(id, prepared, { kind: 'reads' })
}

function setsOf({ primaries, shardCount, version }: Topology, id: number): Uint8Array {
  const slot = id % WRITES_PREPARED
  const prepared = preparedOnce(`sets ${slot}`, version, () => {
    const keys = Array.from({ length: 200 }, (_, index) => `abuse:${slot * 200 + index}`)
    const child = primaries[shardOf(keys[0] as string, shardCount)] as number
    const own = keys.filter((key) => primaries[shardOf(key, shardCount)] === child)
    const calls = own.map((key): Call => {
      const value = { source: VALUE, start: 0, end: VALUE.length }
      return { type: 'set', key, ...value, expiry: { kind: 'none' }, ifVersion: undefined }
    })
    return prepare(child, version, calls)
  })
  // Numbers that only grow, by far fewer than a batch has calls: the node takes them as they are.
  const [firstSequence, lowWater] = [id * 1_000, id * 1_000 - 1]
  return batchOf(id, prepared, { kind: 'writes', firstSequence, lowWater })
}

/** Calls of a batch: who abuses spends no time on making them anew. */
interface Prepared {
  readonly child: number
  readonly topologyVersion: number
  readonly calls: WireWriter
  readonly count: number
}

const WRITES_PREPARED = 64
const known = new Map<string, Prepared>()

function preparedOnce(name: string, topologyVersion: number, make: () => Prepared): Prepared {
  const before = known.get(name)
  if (before?.topologyVersion === topologyVersion) return before
  const prepared = make()
  known.set(name, prepared)
  return prepared
}

function prepare(child: number, topologyVersion: number, calls: readonly Call[]): Prepared {
  const writer = new WireWriter(4_096, BATCH_HEADROOM_BYTES)
  for (const call of calls) {
    if (call.type === 'scan') writeReadCall(writer, call)
    else writeWriteCall(writer, call)
  }
  return { child, topologyVersion, calls: writer, count: calls.length }
}

function batchOf(
  id: number,
  { child, topologyVersion, calls, count }: Prepared,
  head: Parameters<typeof encodeBatch>[1],
): Uint8Array {
  return encodeBatch({ id, child, topologyVersion, remainingMs: 10_000 }, head, count, calls)
}
