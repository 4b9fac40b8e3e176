/**
 * Locks: who gets one, and who waits behind whom. What a shard does with `lock` and `unlock`, said
 * once for every kind of shard.
 *
 * A lock is the entry under its key, and free when there is none. Those who wait are entries of the
 * system with tickets that are given out in order; each ends with its time unless it is renewed, so
 * who died is passed over. One more entry holds the first and the last ticket, so that nothing has
 * to be searched: it lives as long as the one of them that ends last.
 *
 * The lock goes to the first who waits, and to nobody else while anybody does. Nobody is told that
 * it is free: each watches the one before it, and asks again when that is gone. Pure.
 */
import { LOCK_WAITERS_MAX } from './limits.js'
import type { LockCall, UnlockCall } from './lock-call.js'
import { lockQueueKey, lockWaiterKey } from './system-keys.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

/** An entry that is there and whose time is not over: its value is `bytes[start, end)`. */
export interface LockEntry {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly version: number
  readonly expiresAt: number
}

export interface LockView {
  /** The newest entry; it may be asked for the next only when this one is done with. */
  find(key: string): LockEntry | undefined
}

export type LockEffect =
  | {
      readonly type: 'put'
      readonly key: string
      readonly bytes: Uint8Array
      readonly expiresAt: number
    }
  /** A new expiry alone: a renewal is no change to who watches the entry. */
  | {
      readonly type: 'touch'
      readonly key: string
      readonly bytes: Uint8Array
      readonly version: number
      readonly expiresAt: number
    }
  | { readonly type: 'delete'; readonly key: string }

/** What is answered to `lock`. */
export type LockOutcome =
  /** The effects make the entry; its version is that of these effects. */
  | { readonly type: 'granted' }
  /** It had it already. */
  | { readonly type: 'held'; readonly version: number }
  | { readonly type: 'queued'; readonly ticket: number; readonly behind: number }
  | { readonly type: 'busy' }
  | { readonly type: 'full'; readonly message: string }

export interface LockDecision {
  readonly outcome: LockOutcome
  /** All of them are one revision; none: nothing is to be logged. */
  readonly effects: readonly LockEffect[]
}

/** Tickets from the first that may wait to the last that was given out; none: `first > last`. */
interface Queue {
  readonly first: number
  readonly last: number
  readonly expiresAt: number
}

const EMPTY: Queue = { first: 1, last: 0, expiresAt: 0 }

export function decideLock(call: LockCall, view: LockView, nowMs: number): LockDecision {
  const { key, owner, ttlMs, ticket, waitMs } = call
  const lock = view.find(key)
  // Asked again by who has it: a retry, or one that crossed with the answer.
  if (lock !== undefined && isOf(lock, owner)) {
    return { outcome: { type: 'held', version: lock.version }, effects: [] }
  }
  const isFree = lock === undefined
  const line = new Line(key, owner, view)
  const isMine = line.isOf(ticket)
  if (isFree && (line.isEmpty || (isMine && line.queue.first === ticket))) {
    const expiresAt = Math.ceil(nowMs + ttlMs)
    const rest = isMine ? line.without(ticket) : []
    const effects: LockEffect[] = [{ type: 'put', key, bytes: owner, expiresAt }, ...rest]
    return { outcome: { type: 'granted' }, effects }
  }
  if (waitMs === undefined) return { outcome: { type: 'busy' }, effects: [] }
  if (!isMine && line.isFull) {
    const message = `the queue for lock '${key}' has ${LOCK_WAITERS_MAX} places, and all are taken`
    return { outcome: { type: 'full', message }, effects: [] }
  }
  const own = isMine ? ticket : line.queue.last + 1
  return {
    outcome: { type: 'queued', ticket: own, behind: line.before(own) },
    effects: line.with(own, Math.ceil(nowMs + waitMs)),
  }
}

/** Deletes what belongs to the owner: the lock, its place in the queue, or nothing. */
export function decideUnlock(call: UnlockCall, view: LockView): readonly LockEffect[] {
  const { key, owner, ticket } = call
  const lock = view.find(key)
  const isHeld = lock !== undefined && isOf(lock, owner)
  const line = new Line(key, owner, view)
  return [
    ...(isHeld ? [{ type: 'delete' as const, key }] : []),
    ...(line.isOf(ticket) ? line.without(ticket) : []),
  ]
}

/** Those who wait for one lock, as one of them finds it. */
class Line {
  /** Its first and its last ticket are of somebody who waits. */
  readonly queue: Queue
  private readonly key: string
  private readonly owner: Uint8Array
  private readonly view: LockView

  constructor(key: string, owner: Uint8Array, view: LockView) {
    this.key = key
    this.owner = owner
    this.view = view
    this.queue = this.trimmed(readQueue(view.find(lockQueueKey(key))))
  }

  get isEmpty(): boolean {
    return this.queue.first > this.queue.last
  }

  get isFull(): boolean {
    return this.queue.last - this.queue.first + 1 >= LOCK_WAITERS_MAX
  }

  private trimmed({ first, last, expiresAt }: Queue): Queue {
    let [from, to] = [first, last]
    while (from <= to && this.waiter(from) === undefined) from += 1
    while (from <= to && this.waiter(to) === undefined) to -= 1
    return from <= to ? { first: from, last: to, expiresAt } : EMPTY
  }

  private waiter(ticket: number): LockEntry | undefined {
    return this.view.find(lockWaiterKey(this.key, ticket))
  }

  /** Whether the owner waits with this ticket. */
  isOf(ticket: number): boolean {
    const waiter = ticket === 0 ? undefined : this.waiter(ticket)
    return waiter !== undefined && isOf(waiter, this.owner)
  }

  /** The ticket in front, or 0: only the lock itself. */
  before(ticket: number): number {
    for (let before = ticket - 1; before >= this.queue.first; before -= 1) {
      if (this.waiter(before) !== undefined) return before
    }
    return 0
  }

  /** The owner waits with this ticket, until then. */
  with(ticket: number, expiresAt: number): LockEffect[] {
    const { queue, owner: bytes } = this
    const key = lockWaiterKey(this.key, ticket)
    const version = this.waiter(ticket)?.version
    const first = this.isEmpty ? ticket : queue.first
    const last = Math.max(queue.last, ticket)
    return [
      version === undefined
        ? { type: 'put', key, bytes, expiresAt }
        : { type: 'touch', key, bytes, version, expiresAt },
      this.putQueue({ first, last, expiresAt: Math.max(queue.expiresAt, expiresAt) }),
    ]
  }

  /** The ticket is given back. */
  without(ticket: number): LockEffect[] {
    const { queue, key } = this
    const isLast = queue.first === queue.last
    return [
      { type: 'delete', key: lockWaiterKey(key, ticket) },
      isLast ? { type: 'delete', key: lockQueueKey(key) } : this.putQueue(queue),
    ]
  }

  private putQueue({ first, last, expiresAt }: Queue): LockEffect {
    const writer = new WireWriter()
    writer.array(2)
    writer.integer(first)
    writer.integer(last)
    return { type: 'put', key: lockQueueKey(this.key), bytes: writer.written(), expiresAt }
  }
}

function readQueue(entry: LockEntry | undefined): Queue {
  if (entry === undefined) return EMPTY
  const { bytes, start, end, expiresAt } = entry
  const reader = new WireReader(bytes, { start, end })
  reader.tuple(2)
  return { first: reader.unsigned(), last: reader.unsigned(), expiresAt }
}

function isOf({ bytes, start, end }: LockEntry, owner: Uint8Array): boolean {
  if (end - start !== owner.length) return false
  return owner.every((byte, index) => bytes[start + index] === byte)
}

/** Writes what `lock` is answered: a version, `[ticket, behind]` or nil. */
export function writeLockOutcome(
  writer: WireWriter,
  outcome: Exclude<LockOutcome, { type: 'full' }>,
  revision: number,
): void {
  switch (outcome.type) {
    case 'granted':
      writer.integer(revision)
      return
    case 'held':
      writer.integer(outcome.version)
      return
    case 'queued':
      writer.array(2)
      writer.integer(outcome.ticket)
      writer.integer(outcome.behind)
      return
    case 'busy':
      writer.nil()
  }
}
