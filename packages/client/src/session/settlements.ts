/**
 * Ends calls, and keeps what is counted while they are open: how many there are, which keys are
 * being written, which sequence numbers are done, how much waits unsent.
 */
import type { KvError } from '@kv/protocol'
import type { Backlog } from './backlog.js'
import type { PendingCall } from './pending-call.js'
import type { Router, ShardRoute } from './router.js'
import type { SequenceLedger } from './sequence-ledger.js'
import type { WriteTracker } from './write-tracker.js'

export interface SettlementBooks {
  readonly router: Router
  readonly ledger: SequenceLedger
  readonly tracker: WriteTracker
  readonly backlog: Backlog
}

export class Settlements {
  /** Calls that are begun and not settled. */
  openCount = 0
  /** Called each time the last open call has settled. */
  onAllSettled: (() => void) | undefined = undefined
  private readonly books: SettlementBooks

  constructor(books: SettlementBooks) {
    this.books = books
  }

  begin(call: PendingCall): void {
    this.openCount += 1
    if (call.atomic !== undefined) this.books.tracker.beginEach(call.atomic.hashes)
    else if (call.isWrite) this.books.tracker.begin(call.hash, call.key === '')
  }

  fulfil(call: PendingCall, value: unknown): void {
    this.end(call)
    call.fulfil(value)
    if (this.openCount === 0) this.onAllSettled?.()
  }

  fail(call: PendingCall, error: KvError): void {
    this.end(call)
    call.fail(error)
    if (this.openCount === 0) this.onAllSettled?.()
  }

  /**
   * Rejects the promise of an aborted call at once. One that was sent goes on until it is answered,
   * so that later reads still wait for it; one that was not is never sent.
   */
  abort(call: PendingCall, reason: unknown): void {
    call.abandon(reason)
    if (call.place?.isSent === true) return
    this.end(call)
    call.isSettled = true
    call.place?.maybeCompact()
    if (this.openCount === 0) this.onAllSettled?.()
  }

  /** These calls, and in place of each run a call for each of its keys. */
  singles(calls: PendingCall[]): PendingCall[] {
    return calls.flatMap((call) => this.split(call))
  }

  /** The calls that one stands for, each for itself from now on. */
  split(call: PendingCall): PendingCall | PendingCall[] {
    const { run } = call
    if (run === undefined) return call
    const parts = run.split(call)
    for (const part of parts) part.route = this.books.router.routeOf(part.hash)
    this.openCount += run.left - 1
    call.group!.openCount += run.left - 1
    call.isSettled = true
    return parts
  }

  private end(call: PendingCall): void {
    this.openCount -= 1
    const { place } = call
    const isSent = place?.isSent === true
    if (call.isWrite) this.endWrite(call, isSent)
    if (call.sequence !== 0) this.books.ledger.settle(call.sequence)
    if (!isSent && place !== undefined) {
      const count = call.run?.indexes.length ?? 1
      place.settledCount += count
      this.books.backlog.remove(count, call.end - call.start)
    }
  }

  private endWrite(call: PendingCall, isSent: boolean): void {
    if (call.atomic !== undefined) this.books.tracker.endEach(call.atomic.hashes)
    else this.books.tracker.end(call.hash, call.key === '')
    const { route } = call
    if (route === undefined) return
    route.writesUnanswered -= 1
    if (!isSent) return
    route.writesInFlight -= 1
    this.books.router.onWriteBack(route as ShardRoute)
  }
}
