/** The log of a simulated copy: what is on its disk, and what is on the way there. */
import type { EpochStart } from '../../log/epoch-table.js'
import { withEpoch } from '../../log/epoch-table.js'
import type { LogFrame } from '../../log/frame.js'
import { lastRevisionOf } from '../../log/frame.js'
import type { LogPosition } from '../../log/position.js'
import { continuationFault, LOG_START, positionAfter } from '../../log/position.js'

export class ReplicaDisk {
  frames: LogFrame[] = []
  /** Written and not synced, in order. */
  unsynced: LogFrame[] = []
  appliedRevision = 0

  get last(): LogPosition {
    const frame = this.frames.at(-1)
    return frame === undefined ? LOG_START : positionAfter(frame)
  }

  /** The end of what was written, synced or not. */
  get end(): LogPosition {
    const frame = this.unsynced.at(-1)
    return frame === undefined ? this.last : positionAfter(frame)
  }

  get epochs(): readonly EpochStart[] {
    return this.frames.reduce<readonly EpochStart[]>(
      (table, frame) => withEpoch(table, frame.epoch, frame.firstRevision),
      [],
    )
  }

  append(frame: LogFrame): void {
    const fault = continuationFault(this.end, frame)
    if (fault !== undefined) throw new Error(`a frame that does not continue the log: ${fault}`)
    this.unsynced.push(frame)
  }

  /** The oldest frame that was written becomes durable. */
  sync(): LogFrame | undefined {
    const frame = this.unsynced.shift()
    if (frame !== undefined) this.frames.push(frame)
    return frame
  }

  /** The process is gone: the newest frames may or may not have reached the disk. */
  crash(kept: number): void {
    for (let left = kept; left > 0 && this.unsynced.length > 0; left -= 1) this.sync()
    this.unsynced = []
  }

  cut(after: LogPosition): void {
    if (after.revision < this.appliedRevision) throw new Error('what was applied was cut')
    this.frames = this.frames.filter((frame) => lastRevisionOf(frame) <= after.revision)
    this.unsynced = []
  }

  positionAtOrBefore(revision: number): LogPosition {
    const frame = this.frames.findLast((each) => lastRevisionOf(each) <= revision)
    return frame === undefined ? LOG_START : positionAfter(frame)
  }
}
