/** Batches as clients send them, and replies as clients read them. */
import type { BatchHead, Call } from '@kv/protocol'
import {
  BATCH_HEADROOM_BYTES,
  BatchBody,
  decodeClientMessage,
  decodeNodeMessage,
  encodeBatch,
  isReadCall,
  readReplyHead,
  WireReader,
  WireWriter,
  writeReadCall,
  writeWriteCall,
} from '@kv/protocol'
import { faultOf } from '../../shard/testing/calls.js'

const ANY_BYTES = 0x7fff_ffff
const ENVELOPE = { id: 1, child: 1, topologyVersion: 1, remainingMs: 1_000 }

export function readsBody(calls: readonly Call[]): Uint8Array {
  return bodyOf({ kind: 'reads' }, calls)
}

export function writesBody(calls: readonly Call[], firstSequence: number = 1): Uint8Array {
  return bodyOf({ kind: 'writes', firstSequence, lowWater: 0 }, calls)
}

export function bodyOf(head: BatchHead, calls: readonly Call[]): Uint8Array {
  const writer = new WireWriter(1_024, BATCH_HEADROOM_BYTES)
  for (const call of calls) {
    if (!('lowWater' in head) && isReadCall(call)) writeReadCall(writer, call)
    else writeWriteCall(writer, call)
  }
  const message = decodeClientMessage(encodeBatch(ENVELOPE, head, calls.length, writer))
  if (message.type !== 'batch') throw new Error('a batch is due')
  return message.body
}

export function reads(calls: readonly Call[]): BatchBody {
  return new BatchBody(readsBody(calls))
}

export function writes(calls: readonly Call[], firstSequence: number = 1): BatchBody {
  return new BatchBody(writesBody(calls, firstSequence))
}

/** A body whose last call is cut off. */
export function cutBody(body: Uint8Array): BatchBody {
  return new BatchBody(body.subarray(0, body.length - 1))
}

export interface ReadReply {
  readonly batchId: number
  readonly final: boolean
  /** By position; `undefined` where the reply answers all calls in order. */
  readonly positions: readonly number[] | undefined
  /** Numbers, booleans, null, the text of bytes, or `CODE outcome` of a fault. */
  readonly answers: readonly unknown[]
}

export function readReply(message: Uint8Array, callCount: number): ReadReply {
  const decoded = decodeNodeMessage(message)
  if (decoded.type !== 'reply') throw new Error(`a reply is due, found ${decoded.type}`)
  const { batchId, final, body } = decoded
  const reader = new WireReader(body)
  const positions = readReplyHead(reader, callCount)
  const count = positions?.length ?? callCount
  const answers = Array.from({ length: count }, () => readAnswer(reader))
  reader.finish()
  return { batchId, final, positions, answers }
}

function readAnswer(reader: WireReader): unknown {
  const head = reader.peek()
  if (head === 0x81) return readFaultItem(reader)
  if (reader.skipNil()) return null
  if (head === 0xc2 || head === 0xc3) return reader.boolean()
  if (head >= 0xc4 && head <= 0xc6) return Buffer.from(reader.binary(ANY_BYTES)).toString()
  return reader.integer()
}

/** A fault is `{code: [outcome, message]}`. */
function readFaultItem(reader: WireReader): string | undefined {
  const start = reader.position
  reader.map()
  reader.unsigned()
  reader.tuple(2)
  reader.unsigned()
  reader.text(ANY_BYTES)
  return faultOf(reader.bytes.subarray(start, reader.position))
}

/** The answers of several replies to one batch, by position. Throws if one came twice. */
export function gather(replies: readonly ReadReply[], callCount: number): unknown[] {
  const answers = new Map<number, unknown>()
  for (const { positions, answers: found } of replies) {
    for (const [index, answer] of found.entries()) {
      const position = positions?.[index] ?? index
      if (answers.has(position)) throw new Error(`call ${position} was answered twice`)
      answers.set(position, answer)
    }
  }
  return Array.from({ length: callCount }, (_, position) => answers.get(position))
}
