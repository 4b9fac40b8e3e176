/** Values and batches by themselves, as clients and nodes write and read them. */
import type { Call } from '@kv/protocol'
import {
  BATCH_HEADROOM_BYTES,
  BatchBody,
  decodeClientMessage,
  decodeValue,
  encodeBatch,
  encodeValue,
  WireWriter,
  writeReadCall,
  writeWriteCall,
} from '@kv/protocol'
import type { Workload } from './workload.js'
import { KEYS, VALUE } from './workload.js'

const ROUND = 1_000
const BATCH_CALLS = 64

export const ENCODED_VALUE: Uint8Array = encoded(VALUE)

const DOCUMENT = { id: 17, name: VALUE, tags: ['a', 'b', 'c'], nested: { at: 1.5, isLive: true } }

export function protocolWorkloads(): Workload[] {
  return [
    { name: 'protocol: text, written and read', round: () => roundTrips(VALUE) },
    { name: 'protocol: document, written and read', round: () => roundTrips(DOCUMENT) },
    { name: 'protocol: batch of gets, written and read', round: () => batches('reads') },
    { name: 'protocol: batch of sets, written and read', round: () => batches('writes') },
  ]
}

function encoded(value: unknown): Uint8Array {
  const writer = new WireWriter()
  encodeValue(writer, value)
  return Uint8Array.from(writer.written())
}

async function roundTrips(value: unknown): Promise<number> {
  const writer = new WireWriter()
  for (let trip = 0; trip < ROUND; trip += 1) {
    writer.position = 0
    encodeValue(writer, value)
    decodeValue(writer.bytes, 0, writer.position)
  }
  return ROUND
}

async function batches(kind: 'reads' | 'writes'): Promise<number> {
  for (let batch = 0; batch < ROUND / BATCH_CALLS; batch += 1) {
    const body = new BatchBody(bodyOf(kind, 1))
    for (let call = 0; call < body.callCount; call += 1) body.next()
  }
  return ROUND
}

/** A batch of 64 gets or sets, as it comes to a node. */
export function bodyOf(kind: 'reads' | 'writes', firstSequence: number): Uint8Array {
  const writer = new WireWriter(1_024, BATCH_HEADROOM_BYTES)
  for (let index = 0; index < BATCH_CALLS; index += 1) {
    const key = KEYS[(firstSequence + index) % KEYS.length]!
    if (kind === 'reads') writeReadCall(writer, { type: 'get', key })
    else writeWriteCall(writer, setOf(key))
  }
  const envelope = { id: 1, child: 1, topologyVersion: 1, remainingMs: 20_000 }
  const lowWater = firstSequence - 1
  const head = kind === 'reads' ? { kind } : { kind, firstSequence, lowWater }
  const message = decodeClientMessage(encodeBatch(envelope, head, BATCH_CALLS, writer))
  if (message.type !== 'batch') throw new Error('a batch is due')
  return message.body
}

function setOf(key: string): Call {
  const expiry = { kind: 'none' } as const
  const [source, start, end] = [ENCODED_VALUE, 0, ENCODED_VALUE.length]
  return { type: 'set', key, source, start, end, expiry, ifVersion: undefined }
}
