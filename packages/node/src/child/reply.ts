/**
 * Replies as finished client messages: envelope, positions, answers.
 *
 * The answers are written first, behind headroom; what belongs in front is known only when it is
 * clear whether the reply answers the whole batch.
 */
import type { Message } from '@kv/protocol'
import {
  encodeMessage,
  MESSAGE_TAGS,
  WireWriter,
  writeFullReplyHead,
  writePartReplyHead,
} from '@kv/protocol'

const HEADROOM_BYTES = 48
/** A part of a large reply leaves when it has this size; one answer may pass it. */
export const PART_BYTES_SOFT = 262_144

/** Memory for what goes in front, of one reply at a time. */
const scratch = { body: new WireWriter(), front: new WireWriter() }

export class Reply {
  readonly writer: WireWriter
  private readonly batchId: number

  constructor(batchId: number, capacityBytes: number) {
    this.batchId = batchId
    this.writer = new WireWriter(capacityBytes + HEADROOM_BYTES, HEADROOM_BYTES)
  }

  get bytes(): number {
    return this.writer.position - HEADROOM_BYTES
  }

  /** The message that answers all `callCount` calls of the batch, in order. */
  full(callCount: number): Uint8Array {
    const { body } = scratch
    body.position = 0
    writeFullReplyHead(body, callCount)
    return this.message(true)
  }

  /** The message that answers the calls at `positions`. */
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
    return this.writer.writtenBehind(front, HEADROOM_BYTES)
  }
}

/** What a client gets whose bytes broke the protocol; it ends the connection. */
export function failureMessage(code: number, message: string): Uint8Array {
  const failure: Message = { type: 'failure', code, message }
  return encodeMessage(failure)
}
