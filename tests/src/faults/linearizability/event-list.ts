/**
 * The calls and returns of operations in the order of time, as a list from which an operation is
 * lifted when it has taken its place in the order that is being looked for, and put back when that
 * order leads nowhere.
 */
import type { Operation } from '../history/operation.js'
import { isOpen } from '../history/operation.js'

const NONE = -1

interface Event {
  readonly operation: number
  readonly at: number
  readonly isCall: boolean
}

export class EventList {
  private readonly events: readonly Event[]
  private readonly next: Int32Array
  private readonly previous: Int32Array
  /** By operation: the positions of its events; an open one never returns. */
  private readonly calls: Int32Array
  private readonly returns: Int32Array
  /** Position of the head, behind all events. */
  private readonly head: number

  constructor(operations: readonly Operation[]) {
    this.events = eventsOf(operations)
    this.head = this.events.length
    this.next = new Int32Array(this.head + 1)
    this.previous = new Int32Array(this.head + 1)
    this.calls = new Int32Array(operations.length).fill(NONE)
    this.returns = new Int32Array(operations.length).fill(NONE)
    for (const [position, { operation, isCall }] of this.events.entries()) {
      this.next[position] = position + 1
      this.previous[position + 1] = position
      if (isCall) this.calls[operation] = position
      else this.returns[operation] = position
    }
    this.next[this.head] = 0
    this.previous[0] = this.head
  }

  /** The operations that may be next: those called before the first that has returned. */
  *candidates(): Generator<number> {
    for (let at = this.after(this.head); at !== this.head; at = this.after(at)) {
      const event = this.events[at]
      if (event === undefined || !event.isCall) return
      yield event.operation
    }
  }

  private after(position: number): number {
    return this.next[position] ?? this.head
  }

  lift(operation: number): void {
    this.unlink(this.calls[operation] ?? NONE)
    this.unlink(this.returns[operation] ?? NONE)
  }

  /** In the opposite order of lifting. */
  putBack(operation: number): void {
    this.relink(this.returns[operation] ?? NONE)
    this.relink(this.calls[operation] ?? NONE)
  }

  private unlink(position: number): void {
    if (position === NONE) return
    const before = this.previous[position] ?? NONE
    const after = this.next[position] ?? NONE
    this.next[before] = after
    this.previous[after] = before
  }

  private relink(position: number): void {
    if (position === NONE) return
    this.next[this.previous[position] ?? NONE] = position
    this.previous[this.next[position] ?? NONE] = position
  }
}

function eventsOf(operations: readonly Operation[]): Event[] {
  const events: Event[] = []
  for (const [index, operation] of operations.entries()) {
    events.push({ operation: index, at: operation.invokedAt, isCall: true })
    if (isOpen(operation)) continue
    events.push({ operation: index, at: operation.returnedAt, isCall: false })
  }
  // Calls first on ties: what may have overlapped did.
  return events.sort(
    (left, right) => left.at - right.at || Number(right.isCall) - Number(left.isCall),
  )
}
