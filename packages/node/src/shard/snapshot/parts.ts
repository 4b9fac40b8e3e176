/**
 * What a snapshot of a shard consists of, wherever it goes: to a follower, or to a file.
 *
 * It is *fuzzy*: its pages are read one after the other while writes go on, each as things are when it
 * is read. Together with the log from `begin.start` on it is right from `end.revision` on, because
 * effects are decided and whole: what a page already has is written over with the same again.
 */
import type { EpochStart } from '../log/epoch-table.js'
import type { LogPosition } from '../log/position.js'

export interface SnapshotBegin {
  /** The last committed frame when the first page is read: the log that goes with it begins after. */
  readonly start: LogPosition
  /** Which epoch began where, up to `start`. */
  readonly epochs: readonly EpochStart[]
  /** Highest client id whose session was evicted, at `start` like the sessions in the pages. */
  readonly sessionFloor: number
}

export interface SnapshotEnd {
  /** Committed when the last page was read: before the log has got there, this is no state at all. */
  readonly revision: number
  /** No frame up to there has a later time, in epoch milliseconds. */
  readonly timeMs: number
  readonly sessions: number
  readonly entries: number
  /** Of all pages together, in order. */
  readonly checksum: number
}

/** In this order: one beginning, any number of pages, one end. */
export type SnapshotPart =
  | { readonly type: 'snapshotBegin'; readonly begin: SnapshotBegin }
  /** Rows of sessions and entries, encoded: whoever carries it has no look inside. */
  | { readonly type: 'snapshotPage'; readonly page: Buffer }
  | { readonly type: 'snapshotEnd'; readonly end: SnapshotEnd }

/** Where a snapshot comes from. */
export interface SnapshotSource {
  /** Makes the next part, in a turn of its own. Not to be called again before it is there. */
  next(onPart: (part: SnapshotPart) => void): void
  /** Nobody wants the rest. */
  close(): void
}
