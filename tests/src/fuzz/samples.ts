/**
 * Valid messages of every kind a client may send, as bytes: what mutants are made from.
 *
 * Their keys begin with `fuzz`, and what clears a range does so behind every key there is, so that
 * mutants that happen to be valid harm nobody else's keys.
 */
import type { BatchHead, Call, ReadCall, WriteCall } from '@kv/protocol'
import {
  BATCH_HEADROOM_BYTES,
  PROTOCOL_VERSION,
  WireWriter,
  atomicCall,
  decodeClientMessage,
  encodeBatch,
  encodeMessage,
  encodeValue,
  writeReadCall,
  writeWriteCall,
} from '@kv/protocol'

const KEY = 'fuzz/key'
const LATER_MS = 4_000_000_000_000
const BEHIND_ALL_KEYS = '\u{10ffff}'
const RANGE = { shard: 3, from: KEY, to: 'fuzz/kez' } as const

const READS: readonly ReadCall[] = [
  { type: 'get', key: KEY },
  { type: 'entry', key: KEY },
  { type: 'has', key: 'fuzz/🦊' },
  { type: 'scan', ...RANGE, limit: 100, reverse: false, keysOnly: false },
  { type: 'scan', shard: 0, from: '', to: undefined, limit: 10, reverse: true, keysOnly: true },
  { type: 'count', ...RANGE },
]

const VALUE = valueBytes()
const SET = { key: KEY, source: VALUE, start: 0, end: VALUE.length } as const

const WRITES: readonly WriteCall[] = [
  { type: 'set', ...SET, expiry: { kind: 'none' }, ifVersion: undefined },
  { type: 'set', ...SET, expiry: { kind: 'ttl', ms: 60_000 }, ifVersion: null },
  { type: 'set', ...SET, expiry: { kind: 'at', ms: LATER_MS }, ifVersion: 77 },
  { type: 'set', ...SET, expiry: { kind: 'keep' }, ifVersion: undefined },
  { type: 'delete', key: KEY },
  { type: 'deleteIf', key: KEY, version: 3 },
  { type: 'touch', key: KEY, ttlMs: 1_000 },
  { type: 'touch', key: KEY, ttlMs: undefined },
  { type: 'increment', key: 'fuzz/counter', by: 1, ttlMs: 5, min: -1, max: 2 ** 40 },
  { type: 'increment', key: 'fuzz/sum', by: 0.5, ttlMs: undefined, min: undefined, max: undefined },
  { type: 'clear', shard: 1, from: BEHIND_ALL_KEYS, to: undefined },
  atomicCall([
    { type: 'check', key: '{fuzz}/a', version: 7 },
    { type: 'check', key: '{fuzz}/b', version: null },
    { type: 'set', ...SET, key: '{fuzz}/b', expiry: { kind: 'keep' }, ifVersion: undefined },
    { type: 'touch', key: '{fuzz}/a', ttlMs: 1_000 },
    { type: 'increment', key: '{fuzz}/n', by: 1, ttlMs: 5, min: -1, max: 2 ** 40 },
    { type: 'delete', key: '{fuzz}/a' },
  ]),
  atomicCall([{ type: 'delete', key: KEY }]),
  { type: 'lock', key: 'fuzz/lock', owner: VALUE, ttlMs: 50, ticket: 0, waitMs: 50 },
  { type: 'lock', key: 'fuzz/lock', owner: VALUE, ttlMs: 50, ticket: 3, waitMs: undefined },
  { type: 'unlock', key: 'fuzz/lock', owner: VALUE, ticket: 3 },
]

const WRITES_OF_ONE_CALL: BatchHead = { kind: 'writes', firstSequence: 9, lowWater: 2 }

const HEADS: readonly BatchHead[] = [
  { kind: 'writes', firstSequence: 1, lowWater: 0 },
  { kind: 'resends', sequences: WRITES.map((_, index) => index * 3 + 1), lowWater: 0 },
]

/** Bodies of every kind of batch, together and call by call. */
export const BODIES: readonly Uint8Array[] = [
  bodyOf({ kind: 'reads' }, READS),
  ...READS.map((call) => bodyOf({ kind: 'reads' }, [call])),
  bodyOf({ kind: 'replicaReads' }, READS),
  ...HEADS.map((head) => bodyOf(head, WRITES)),
  ...WRITES.map((call) => bodyOf(WRITES_OF_ONE_CALL, [call])),
]

/** HELLO of a new client. */
export function hello(): Uint8Array {
  return encodeMessage({
    type: 'hello',
    protocolVersion: PROTOCOL_VERSION,
    clientId: 0,
    secret: new Uint8Array(0),
    token: '',
    name: 'fuzz',
  })
}

export function ping(): Uint8Array {
  return encodeMessage({ type: 'ping', nonce: 123_456 })
}

/** A batch for a child: an envelope that is well-formed, whatever the body is. */
export function envelope(id: number, child: number, body: Uint8Array): Uint8Array {
  return encodeMessage({ type: 'batch', id, child, topologyVersion: 0, remainingMs: 5_000, body })
}

/** The body of a batch, for a child to read. */
export function bodyOf(head: BatchHead, calls: readonly Call[]): Uint8Array {
  const writer = new WireWriter(4_096)
  writer.position = BATCH_HEADROOM_BYTES
  for (const call of calls) {
    if (!('lowWater' in head)) writeReadCall(writer, call as ReadCall)
    else writeWriteCall(writer, call)
  }
  const routing = { id: 1, child: 1, topologyVersion: 0, remainingMs: 1 }
  const message = decodeClientMessage(encodeBatch(routing, head, calls.length, writer))
  if (message.type !== 'batch') throw new Error(`a batch reads as ${message.type}`)
  return Uint8Array.from(message.body)
}

function valueBytes(): Uint8Array {
  const writer = new WireWriter()
  encodeValue(writer, { name: 'fuzz', list: [1, 2.5, null, true], text: 'é🦊' })
  return Uint8Array.from(writer.written())
}
