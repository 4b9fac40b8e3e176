/** A simulated copy's directory: log and stored state, and what is on the way there. */
import type { EpochStart } from '../../log/epoch-table.js'
import { withEpoch } from '../../log/epoch-table.js'
import { lastRevisionOf } from '../../log/frame.js'
import type { LogPosition } from '../../log/position.js'
import { continuationFault, isSamePosition, LOG_START, positionAfter } from '../../log/position.js'
import type { ModelFrame } from './model-state.js'
import { ModelState } from './model-state.js'

export interface DiskStart {
  readonly position: LogPosition
  readonly epochs: readonly EpochStart[]
  readonly state: ModelState
  /** Something up to here is in the state. */
  readonly applyingRevision: number
}

export class ReplicaDisk {
  frames: ModelFrame[] = []
  /** Written and not synced, in order. */
  unsynced: ModelFrame[] = []
  /** Committed as far as this process knows; after a crash, what is stored. */
  appliedRevision: number
  /** The log begins after this frame. */
  private start: LogPosition
  private startEpochs: readonly EpochStart[]
  private table: readonly EpochStart[]
  /** The fold up to `storedRevision`, and of some that come after it up to `applyingRevision`. */
  readonly stored: ModelState
  storedRevision: number
  applyingRevision: number

  constructor(start?: DiskStart) {
    this.start = start?.position ?? LOG_START
    this.startEpochs = start?.epochs ?? []
    this.table = this.startEpochs
    this.stored = start?.state ?? new ModelState()
    this.storedRevision = this.start.revision
    this.appliedRevision = this.start.revision
    this.applyingRevision = start?.applyingRevision ?? this.start.revision
  }

  get last(): LogPosition {
    const frame = this.frames.at(-1)
    return frame === undefined ? this.start : positionAfter(frame)
  }

  /** The end of what was written, synced or not. */
  get end(): LogPosition {
    const frame = this.unsynced.at(-1)
    return frame === undefined ? this.last : positionAfter(frame)
  }

  get epochs(): readonly EpochStart[] {
    return this.table
  }

  /** The log reaches as far as the state: it says itself what it is. */
  get isWhole(): boolean {
    return this.last.revision >= this.applyingRevision
  }

  append(frame: ModelFrame): void {
    const fault = continuationFault(this.end, frame)
    if (fault !== undefined) throw new Error(`a frame that does not continue the log: ${fault}`)
    this.unsynced.push(frame)
  }

  /** The oldest frame that was written becomes durable. */
  sync(): ModelFrame | undefined {
    const frame = this.unsynced.shift()
    if (frame === undefined) return undefined
    this.frames.push(frame)
    this.table = withEpoch(this.table, frame.epoch, frame.firstRevision)
    return frame
  }

  /** The process is gone: the newest frames may or may not have reached the disk. */
  crash(kept: number): void {
    this.finish(kept)
    this.appliedRevision = this.storedRevision
  }

  /** What a conversation left under way ends up in the log, or not. */
  finish(kept: number): void {
    for (let left = kept; left > 0 && this.unsynced.length > 0; left -= 1) this.sync()
    this.unsynced = []
  }

  cut(after: LogPosition): void {
    const { revision } = after
    if (revision < Math.max(this.appliedRevision, this.applyingRevision)) {
      throw new Error('what was applied was cut')
    }
    this.frames = this.frames.filter((frame) => lastRevisionOf(frame) <= revision)
    this.unsynced = []
    if (!isSamePosition(after, this.last)) throw new Error('a cut between frames')
    this.table = this.frames.reduce(
      (table, frame) => withEpoch(table, frame.epoch, frame.firstRevision),
      this.startEpochs,
    )
  }

  /** What is committed moves into the stored state. */
  store(): void {
    for (const frame of this.frames) {
      const revision = lastRevisionOf(frame)
      if (revision > this.appliedRevision) break
      if (revision > this.storedRevision) this.stored.fold(frame)
    }
    this.storedRevision = this.appliedRevision
    this.applyingRevision = Math.max(this.applyingRevision, this.appliedRevision)
  }

  /** Frames that the state has go, but for those from a revision on. */
  trim(neededRevision: number): void {
    const upTo = Math.min(this.storedRevision, neededRevision - 1)
    while (this.frames.length > 0 && lastRevisionOf(this.frames[0]!) <= upTo) {
      const frame = this.frames.shift()!
      this.start = positionAfter(frame)
      this.startEpochs = withEpoch(this.startEpochs, frame.epoch, frame.firstRevision)
    }
  }

  /** What is committed, as far as this copy knows. */
  committed(): ModelState {
    const state = this.stored.clone()
    for (const frame of this.frames) {
      const revision = lastRevisionOf(frame)
      if (revision > this.storedRevision && revision <= this.appliedRevision) state.fold(frame)
    }
    return state
  }

  positionAtOrBefore(revision: number): LogPosition | undefined {
    if (revision < this.start.revision) return undefined
    const frame = this.frames.findLast((each) => lastRevisionOf(each) <= revision)
    return frame === undefined ? this.start : positionAfter(frame)
  }

  /** Some frames from a revision on; `undefined` if the log begins later. */
  read(fromRevision: number, frames: number): readonly ModelFrame[] | undefined {
    if (fromRevision <= this.start.revision) return undefined
    const index = this.frames.findIndex((frame) => lastRevisionOf(frame) >= fromRevision)
    return index === -1 ? [] : this.frames.slice(index, index + frames)
  }
}
