/**
 * Encoded calls, one behind the other in one piece of memory, with the calls they belong to.
 *
 * Both an open batch and a shard's waiting room are one. Room for the envelope is left in front.
 */
import { BATCH_HEADROOM_BYTES, WireWriter } from '@kv/protocol'
import type { CallPlace, PendingCall } from './pending-call.js'

/** Fewer settled calls than this are not worth moving the others for. */
const COMPACT_CALLS_MIN = 32

export class CallBuffer implements CallPlace {
  readonly writer: WireWriter
  /** By position in the batch: a call with a run stands here once for each key of it. */
  calls: PendingCall[] = []
  isSent: boolean = false
  settledCount: number = 0
  /** Earliest deadline of its calls. */
  earliestMs: number = Infinity
  /** Latest deadline of its calls. */
  latestMs = 0

  constructor(writer: WireWriter = new WireWriter()) {
    writer.position = BATCH_HEADROOM_BYTES
    this.writer = writer
  }

  get bytes(): number {
    return this.writer.position - BATCH_HEADROOM_BYTES
  }

  /** Takes a call that was just written, from `start` to the writer's position. */
  add(call: PendingCall, start: number): void {
    call.place = this
    call.start = start
    call.end = this.writer.position
    this.list(call)
    if (call.deadline < this.earliestMs) this.earliestMs = call.deadline
    if (call.deadline > this.latestMs) this.latestMs = call.deadline
  }

  private list(call: PendingCall): void {
    const { run } = call
    if (run !== undefined) run.position = this.calls.length
    for (let left = run?.indexes.length ?? 1; left > 0; left -= 1) this.calls.push(call)
  }

  /** Takes one more key of the run that came last. */
  extend(call: PendingCall): void {
    call.end = this.writer.position
    this.calls.push(call)
  }

  /** Takes a call over from where it is, by copying its bytes. */
  adopt(call: PendingCall): void {
    const start = this.writer.position
    if (call.place !== undefined) {
      this.writer.raw(call.place.writer.bytes, call.start, call.end)
    }
    this.add(call, start)
  }

  /** Gives up the calls whose time is over. Returns the earliest deadline left, or `Infinity`. */
  expire(now: number, giveUp: (call: PendingCall) => void): number {
    if (this.earliestMs > now) return this.earliestMs
    let earliest = Infinity
    for (const call of this.calls) {
      if (call.isSettled || call.place !== this) continue
      if (call.deadline <= now) giveUp(call)
      else if (call.deadline < earliest) earliest = call.deadline
    }
    this.earliestMs = earliest
    return earliest
  }

  /** Takes the settled calls out once they are the larger part. */
  maybeCompact(): void {
    if (this.settledCount < COMPACT_CALLS_MIN) return
    if (this.settledCount * 2 > this.calls.length) this.compact()
  }

  /** Takes the settled calls out, before the rest is sent or because they have become many. */
  compact(): void {
    if (this.settledCount === 0) return
    const { bytes } = this.writer
    const { open } = this
    this.calls = []
    let position = BATCH_HEADROOM_BYTES
    for (const call of open) {
      bytes.copyWithin(position, call.start, call.end)
      call.end = position + call.end - call.start
      call.start = position
      position = call.end
      this.list(call)
    }
    this.settledCount = 0
    this.writer.position = position
  }

  /**
   * Lets go of the calls, all of them answered, so that they die young whatever still leads here. A
   * `Map` that batches come to and leave keeps more than it shows: each table it has outgrown leads
   * to the next, for its iterators, and once one of them is old all that follow are taken for alive
   * until the next full collection, with what was in them (ADR 0034).
   */
  release(): void {
    this.calls = []
  }

  /** The calls that are not settled and were not taken back, each once. */
  get open(): PendingCall[] {
    const isOpen = (call: PendingCall): boolean => !call.isSettled && call.place === this
    return this.calls.filter((call, index) => isOpen(call) && call !== this.calls[index - 1])
  }

  /** The calls that still wait here, in the order they came; the buffer is empty afterwards. */
  takeAll(): PendingCall[] {
    const taken = this.open
    this.calls = []
    this.settledCount = 0
    this.earliestMs = Infinity
    this.latestMs = 0
    return taken
  }
}
