/**
 * What one shard remembers of one client: the results of its writes that the client has not
 * confirmed. Pure.
 *
 * Two rings of numbers, in the order of the sequence numbers: a result that is the revision itself
 * (that of a `set`) costs sixteen bytes and no object. Other answers are kept beside them, as they
 * were encoded, because what they tell of may have changed since.
 */
import type { Answer } from '../answer.js'

/** Measured heap cost of a session without results, and its place in the table. */
const SESSION_BYTES = 320
const NUMBERS_BYTES = 16
const ANSWER_SLOT_BYTES = 8
/** An encoded answer besides its bytes. */
const ANSWER_BYTES = 160
const CAPACITY_MIN = 8

export interface Result {
  /** The entry that holds it. */
  readonly revision: number
  readonly answer: Answer
}

export class Session {
  readonly clientId: number
  /** The client has confirmed every answer up to this number: none of them is executed again. */
  lowWater = 0
  /** What was executed up to this number is not known here: the session before was evicted. */
  forgottenUpTo: number
  /** Revision of its first entry. */
  createdAt: number
  /** When it was used last, on a clock that never goes back. */
  usedAtMs = 0
  /** Revision of the entry that evicts it, once there is one; 0: none. */
  evictedAt = 0
  /** It differs from what is stored, or will once what is pending commits. */
  isChanged = false
  private sequences = new Float64Array(CAPACITY_MIN)
  private revisions = new Float64Array(CAPACITY_MIN)
  /** Only once there is an answer that is not the revision. */
  private answers: (Answer | undefined)[] | undefined
  private head = 0
  private count = 0
  private answerBytes = 0

  constructor(clientId: number, createdAt: number, forgottenUpTo: number) {
    this.clientId = clientId
    this.createdAt = createdAt
    this.forgottenUpTo = forgottenUpTo
  }

  get size(): number {
    return this.count
  }

  /** Measured bytes that live on because of it. */
  get bytes(): number {
    const slotBytes = NUMBERS_BYTES + (this.answers === undefined ? 0 : ANSWER_SLOT_BYTES)
    return SESSION_BYTES + this.sequences.length * slotBytes + this.answerBytes
  }

  /** A call with a higher number has left no trace here. */
  get newest(): number {
    const last = this.count === 0 ? 0 : this.sequences[this.slot(this.count - 1)]!
    return Math.max(last, this.lowWater, this.forgottenUpTo)
  }

  private slot(index: number): number {
    return (this.head + index) & (this.sequences.length - 1)
  }

  add(sequence: number, revision: number, answer: Answer): void {
    if (this.count === this.sequences.length) this.resize(this.count * 2)
    let index = this.count
    this.count += 1
    // A write that was refused at first and sent again comes after later ones.
    while (index > 0 && this.sequences[this.slot(index - 1)]! > sequence) {
      this.copySlot(this.slot(index - 1), this.slot(index))
      index -= 1
    }
    // Of an encoded answer its own bytes: the memory it was written to is larger, and shared.
    const kept = answer instanceof Uint8Array ? new Uint8Array(answer) : answer
    this.fill(this.slot(index), sequence, revision, kept)
  }

  private fill(slot: number, sequence: number, revision: number, answer: Answer): void {
    this.sequences[slot] = sequence
    this.revisions[slot] = revision
    if (answer === revision && this.answers === undefined) return
    this.answers ??= Array.from({ length: this.sequences.length })
    this.answers[slot] = answer === revision ? undefined : answer
    this.answerBytes += bytesOf(answer)
  }

  private copySlot(from: number, to: number): void {
    this.sequences[to] = this.sequences[from]!
    this.revisions[to] = this.revisions[from]!
    if (this.answers !== undefined) this.answers[to] = this.answers[from]
  }

  find(sequence: number): Result | undefined {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.sequences[this.slot(middle)]! < sequence) low = middle + 1
      else high = middle
    }
    if (low === this.count || this.sequences[this.slot(low)] !== sequence) return undefined
    return this.resultAt(this.slot(low))
  }

  private resultAt(slot: number): Result {
    const revision = this.revisions[slot]!
    return { revision, answer: this.answers?.[slot] ?? revision }
  }

  /** The client has all answers up to this number. */
  confirm(lowWater: number): void {
    if (lowWater <= this.lowWater) return
    this.lowWater = lowWater
    while (this.count > 0 && this.sequences[this.head]! <= lowWater) {
      if (this.answers !== undefined) {
        this.answerBytes -= bytesOf(this.answers[this.head])
        this.answers[this.head] = undefined
      }
      this.head = this.slot(1)
      this.count -= 1
    }
    const capacity = this.sequences.length
    if (capacity > CAPACITY_MIN * 8 && this.count * 8 <= capacity) this.resize(capacity / 2)
  }

  private resize(capacity: number): void {
    this.sequences = this.unrolled(this.sequences, capacity)
    this.revisions = this.unrolled(this.revisions, capacity)
    const { answers } = this
    if (answers !== undefined) {
      const kept = [...answers.slice(this.head), ...answers.slice(0, this.head)].slice(
        0,
        this.count,
      )
      const isNeeded = kept.some((answer) => answer !== undefined)
      kept.length = capacity
      this.answers = isNeeded ? kept : undefined
    }
    this.head = 0
  }

  /** What a ring holds, at the start of one of another size. */
  private unrolled(ring: Float64Array<ArrayBuffer>, capacity: number): Float64Array<ArrayBuffer> {
    const target = new Float64Array(capacity)
    const atEnd = Math.min(this.count, ring.length - this.head)
    target.set(ring.subarray(this.head, this.head + atEnd))
    target.set(ring.subarray(0, this.count - atEnd), atEnd)
    return target
  }

  private refill(kept: readonly (Result & { readonly sequence: number })[]): void {
    this.answers = undefined
    this.head = 0
    this.count = kept.length
    this.answerBytes = 0
    for (const [slot, { sequence, revision, answer }] of kept.entries()) {
      this.fill(slot, sequence, revision, answer)
    }
  }

  /** Forgets the results that `keep` does not name by their revision. */
  retain(keep: (revision: number) => boolean): void {
    this.refill(Array.from(this.results()).filter(({ revision }) => keep(revision)))
  }

  /** In the order of the sequence numbers. */
  *results(): Generator<Result & { readonly sequence: number }> {
    for (let index = 0; index < this.count; index += 1) {
      const slot = this.slot(index)
      yield { sequence: this.sequences[slot]!, ...this.resultAt(slot) }
    }
  }
}

function bytesOf(answer: Answer | undefined): number {
  return answer instanceof Uint8Array ? ANSWER_BYTES + answer.length : 0
}
