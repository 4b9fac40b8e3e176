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
    const body = new WireWriter()
    writeFullReplyHead(body, callCount)
    return this.message(body, true)
  }

  /** The message that answers the calls at `positions`. */
  part(positions: readonly number[], final: boolean): Uint8Array {
    const body = new WireWriter()
    writePartReplyHead(body, positions)
    return this.message(body, final)
  }

  private message(bodyHead: WireWriter, final: boolean): Uint8Array {
    const front = new WireWriter()
    front.array(4)
    front.integer(MESSAGE_TAGS.reply)
    front.integer(this.batchId)
    front.boolean(final)
    front.binaryHeader(bodyHead.position + this.bytes)
    front.raw(bodyHead.bytes, 0, bodyHead.position)
    if (front.position <= HEADROOM_BYTES) {
      const start = HEADROOM_BYTES - front.position
      this.writer.bytes.set(front.written(), start)
      return this.writer.written(start)
    }
    front.raw(this.writer.bytes, HEADROOM_BYTES, this.writer.position)
    return front.written()
  }
}

/** What a client gets whose bytes broke the protocol; it ends the connection. */
export function failureMessage(code: number, message: string): Uint8Array {
  const failure: Message = { type: 'failure', code, message }
  return encodeMessage(failure)
}
