/**
 * Replies as finished client messages: envelope, positions, answers.
 *
 * The answers are written first; what belongs in front is known only when it is clear whether the
 * reply answers the whole batch. They gather in memory that is used again and again, and are moved
 * when the reply is complete into a slab with those before it: memory of its own for each would be
 * more to allocate and to collect than the copy costs (ADR 0027).
 */
import type { Message } from '@kv/protocol'
import {
  encodeMessage,
  MESSAGE_TAGS,
  WireWriter,
  writeFullReplyHead,
  writePartReplyHead,
} from '@kv/protocol'
import { FrameSlab } from '../shard/log/frame-slab.js'

/** A part of a large reply leaves when it has this size; one answer may pass it. */
export const PART_BYTES_SOFT = 262_144

/** Memory for what goes in front, of one reply at a time. */
const scratch = { body: new WireWriter(), front: new WireWriter() }

/** Memory to gather in that has grown beyond this is let go. */
const GATHER_BYTES_MAX = 2 * PART_BYTES_SOFT
let spare: WireWriter | undefined
const slab = new FrameSlab()

export class Reply {
  readonly writer: WireWriter
  private readonly batchId: number

  constructor(batchId: number) {
    this.batchId = batchId
    this.writer = spare ?? new WireWriter()
    this.writer.position = 0
    // Nobody else may gather there meanwhile: a reply may take several turns.
    spare = undefined
  }

  get bytes(): number {
    return this.writer.position
  }

  /** The message that answers all `callCount` calls of the batch, in order. Ends the reply. */
  full(callCount: number): Uint8Array {
    const { body } = scratch
    body.position = 0
    writeFullReplyHead(body, callCount)
    return this.message(true)
  }

  /** The message that answers the calls at `positions`. Ends the reply. */
  part(positions: readonly number[], final: boolean): Uint8Array {
    const { body } = scratch
    body.position = 0
    writePartReplyHead(body, positions)
    return this.message(final)
  }

  private message(final: boolean): Uint8Array {
    const { body, front } = scratch
    front.position = 0
    front.array(4)
    front.integer(MESSAGE_TAGS.reply)
    front.integer(this.batchId)
    front.boolean(final)
    front.binaryHeader(body.position + this.bytes)
    front.raw(body.bytes, 0, body.position)
    const message = slab.take(front.position + this.bytes)
    message.set(front.written())
    message.set(this.writer.written(), front.position)
    if (this.writer.bytes.length <= GATHER_BYTES_MAX) spare = this.writer
    return message
  }
}

/** What a client gets whose bytes broke the protocol; it ends the connection. */
export function failureMessage(code: number, message: string): Uint8Array {
  const failure: Message = { type: 'failure', code, message }
  return encodeMessage(failure)
}
