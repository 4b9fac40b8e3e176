/**
 * What a primary and a follower say to each other about one shard. Every message carries the epoch of
 * the primary: a message of another epoch than the connection's is of another conversation.
 *
 *   primary                          follower
 *      │ greet ───────────────────────▶ │  raises its epoch: older ones are refused from now on
 *      │ ◀─────────────────────── state │
 *      │ cut ─────────────────────────▶ │  drops what the primary's log does not share
 *      │ ◀────────────────────── joined │  its log is a prefix of the primary's
 *      │ frame, frame, … ─────────────▶ │
 *      │ ◀───────────────────── durable │  synced up to a revision, again and again
 *      │ commit ──────────────────────▶ │  what it may apply
 *
 * A follower whose log can't be joined to the primary's (it says `unfit`, or the primary sees it) gets
 * another replica instead of `cut`, once it is not required any more (ADR 0016):
 *
 *      │ snapshotBegin ───────────────▶ │  begins to build
 *      │ snapshotPage, … ─────────────▶ │
 *      │ ◀─────────────── snapshotTaken │  so many pages: room for as many more
 *      │ snapshotEnd ─────────────────▶ │  puts what it has built in place of what it had
 *      │ ◀────────────────────── joined │  where the snapshot begins; frames follow
 */
import type { EpochStart } from '../log/epoch-table.js'
import type { LogFrame } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import type { SnapshotPart } from '../snapshot/parts.js'

export type ToFollower =
  | { readonly type: 'greet'; readonly epoch: number }
  /** Frames after this position are not the primary's: they go, unless they were applied. */
  | { readonly type: 'cut'; readonly epoch: number; readonly after: LogPosition }
  | {
      readonly type: 'frame'
      readonly epoch: number
      readonly frame: LogFrame
      readonly commitRevision: number
    }
  | { readonly type: 'commit'; readonly epoch: number; readonly revision: number }
  | ({ readonly epoch: number } & SnapshotPart)

export type ToPrimary =
  | {
      readonly type: 'state'
      readonly epoch: number
      /** Which hosting of the copy speaks: the set is asked for that one and no other. */
      readonly hosting: number
      readonly last: LogPosition
      readonly epochs: readonly EpochStart[]
    }
  | { readonly type: 'joined'; readonly epoch: number; readonly last: LogPosition }
  /** It can't go on from its log: it needs a snapshot. */
  | { readonly type: 'unfit'; readonly epoch: number; readonly reason: string }
  | { readonly type: 'durable'; readonly epoch: number; readonly revision: number }
  /** Pages it has taken in, all in all. */
  | { readonly type: 'snapshotTaken'; readonly epoch: number; readonly pages: number }
