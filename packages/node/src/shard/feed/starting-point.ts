/**
 * Whether a watcher can go on from where it says it was. Pure.
 *
 * A position names the epoch of its revision: the log tells by its epoch table whether that revision
 * is one of its own history. What it can't tell, and what it no longer holds, is a reset: never a
 * silent gap (P6).
 */
import type { WatchPosition } from '@kv/protocol'
import type { EpochStart } from '../log/epoch-table.js'
import type { ResetReason } from './feed.js'

export interface LogExtent {
  readonly epochTable: readonly EpochStart[]
  /** The oldest revision that can be read. */
  readonly firstRevision: number
  readonly committedRevision: number
}

/** Why a watcher can't go on, or `undefined` if it can. */
export function resetReason(position: WatchPosition, extent: LogExtent): ResetReason | undefined {
  const { epoch, revision, seen } = position
  if (revision > extent.committedRevision) return 'diverged'
  if ((seen > 0 ? revision : revision + 1) < extent.firstRevision) return 'trimmed'
  return epochOf(revision, extent.epochTable) === epoch ? undefined : 'diverged'
}

/** The epoch in which a revision was written; 0 if the table does not reach back that far. */
export function epochOf(revision: number, table: readonly EpochStart[]): number {
  return table.findLast(({ firstRevision }) => firstRevision <= revision)?.epoch ?? 0
}
