/**
 * Many keys of one call (`getMany` and the like) that stand one behind the other in one batch.
 *
 * On the wire each key is a call of its own; in the client a `PendingCall` for each would cost more
 * than everything else that is done for it. So those that are made in one go and travel together are
 * one `PendingCall` with a run. Whatever is not an answer (a fault, a lost connection, a shard that
 * moves) splits it into calls of one key each, and goes on with these as with any others.
 */
import { KEY_BYTES_MAX, WireReader } from '@kv/protocol'
import type { KeyCallTerms, PendingCall } from './pending-call.js'
import { keyCall } from './pending-call.js'

export interface ReadOfMany extends KeyCallTerms {
  readonly kind: 'get' | 'entry' | 'has'
  readonly keys: readonly string[]
  /** The first of them. */
  readonly key: string
}

export class KeyRun {
  /** How many keys have no answer yet. */
  left = 0
  /** Where in the batch the first of them is. */
  position = 0
  /** What it was split into. */
  parts: PendingCall[] = []
  /** All keys of the call, of which these are some. */
  readonly keys: readonly string[]
  /** Which of `keys` they are, in the order in which they stand in the batch; -1: has its answer. */
  readonly indexes: number[] = []

  constructor(keys: readonly string[]) {
    this.keys = keys
  }

  /** The first key without an answer, while there is one. */
  get firstLeft(): string {
    return this.keys[this.indexes.find((index) => index >= 0)!]!
  }

  add(index: number): void {
    this.indexes.push(index)
    this.left += 1
  }

  /** The index of the key at `offset` of the run, which has its answer now; -1: it had one. */
  take(offset: number): number {
    const index = this.indexes[offset]!
    if (index < 0) return index
    this.indexes[offset] = -1
    this.left -= 1
    return index
  }

  /**
   * Calls of one key each for those of `call`, whose run this is, that have no answer: in its place, if
   * it is in a batch that was sent.
   */
  split(call: PendingCall): PendingCall[] {
    const place = call.place!
    const reader = new WireReader(place.writer.bytes, { start: call.start })
    for (const [offset, index] of this.indexes.entries()) {
      const start = reader.position
      if (call.kind !== 'get') {
        reader.tuple(2)
        reader.unsigned()
      }
      const key = reader.text(KEY_BYTES_MAX)
      if (index < 0) continue
      const part = keyCall(call, key, index)
      part.isAbandoned = call.isAbandoned
      part.order = call.order
      part.place = place
      part.start = start
      part.end = reader.position
      if (place.isSent) place.calls[this.position + offset] = part
      this.parts.push(part)
    }
    return this.parts
  }
}
