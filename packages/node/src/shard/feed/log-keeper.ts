/**
 * Decides which part of a shard's log may go: what the state does not need and, within their limits,
 * neither watchers nor the copies that follow, nor the snapshot from which the state could be rebuilt.
 */
import type { Clock } from '../clock.js'
import type { Log } from '../log/log.js'
import { History } from './history.js'
import type { HistoryLimits } from './history.js'

/** Nothing is kept for watchers. */
const NO_HISTORY: HistoryLimits = { bytesMax: 0, ageMsMax: 0 }

/** A longer log is not kept for copies that follow: one that is so far behind is rebuilt. */
export const FOLLOWERS_LOG_BYTES_MAX: number = 67_108_864

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
   * Drops what may go of the log up to `appliedRevision`; copies that follow need it from
   * `neededRevision` on, a snapshot that was taken from `snapshotRevision` on. `isShort`: something can't be written for want of space, which comes before
   * what others may still want.
   */
  async drop(
    appliedRevision: number,
    isShort: boolean,
    neededRevision: number = Infinity,
    snapshotRevision: number = Infinity,
  ): Promise<void> {
    const wantedFrom = Math.min(this.wantedFrom(neededRevision), snapshotRevision)
    const before = Math.min(appliedRevision + 1, isShort ? Infinity : wantedFrom)
    if (before <= this.droppedBefore) return
    await this.log.dropBefore(before)
    this.droppedBefore = before
  }

  private wantedFrom(neededRevision: number): number {
    const keepFrom = this.history.keepFrom(this.clock.now())
    const isTooLong = this.log.bytesOnDisk > FOLLOWERS_LOG_BYTES_MAX
    return isTooLong ? keepFrom : Math.min(keepFrom, neededRevision)
  }
}
