/**
 * Decides which part of a shard's log may go: what neither the state needs nor, within their limits,
 * watchers.
 */
import type { Clock } from '../clock.js'
import type { Log } from '../log/log.js'
import { History } from './history.js'
import type { HistoryLimits } from './history.js'

/** Nothing is kept for watchers. */
const NO_HISTORY: HistoryLimits = { bytesMax: 0, ageMsMax: 0 }

export class LogKeeper {
  private readonly log: Log
  private readonly clock: Clock
  private readonly history: History
  private droppedBefore = 0

  constructor(log: Log, clock: Clock, limits: HistoryLimits = NO_HISTORY) {
    const { firstRevision, lastRevision, bytesOnDisk: bytes } = log
    this.log = log
    this.clock = clock
    this.history = new History(limits, { firstRevision, lastRevision, bytes }, clock.now())
  }

  /** The log has grown by a frame that stays. */
  onFrame(lastRevision: number, bodyBytes: number): void {
    this.history.add(lastRevision, bodyBytes, this.clock.now())
  }

  /**
   * Drops what may go of the log up to `appliedRevision`. `isShort`: something can't be written for
   * want of space, which comes before what watchers may still want.
   */
  async drop(appliedRevision: number, isShort: boolean): Promise<void> {
    const wantedFrom = isShort ? Infinity : this.history.keepFrom(this.clock.now())
    const before = Math.min(appliedRevision + 1, wantedFrom)
    if (before <= this.droppedBefore) return
    await this.log.dropBefore(before)
    this.droppedBefore = before
  }
}
