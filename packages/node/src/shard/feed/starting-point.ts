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
  /** Revisions left out where an epoch begins, 0 if none are; of older epochs that may be less. */
  readonly jump?: number
  /** The oldest revision that can be read. */
  readonly firstRevision: number
  readonly committedRevision: number
}

/** Why a watcher can't go on, or `undefined` if it can. */
export function resetReason(position: WatchPosition, extent: LogExtent): ResetReason | undefined {
  const { epoch, revision, seen } = position
  const { epochTable, jump = 0 } = extent
  if (revision > extent.committedRevision) return 'diverged'
  if ((seen > 0 ? revision : revision + 1) < extent.firstRevision) return 'trimmed'
  if (epochOf(revision, epochTable) !== epoch || isLeftOut(revision, epochTable, jump))
    return 'diverged'
  return undefined
}

/**
 * Whether a revision is one of those left out before the next epoch: what was given that number is lost
 * (`fsync: 'everysec'`). Where the next epoch began without a jump that can't be told, and is taken so.
 */
function isLeftOut(revision: number, table: readonly EpochStart[], jump: number): boolean {
  if (jump === 0) return false
  const next = table.find(({ firstRevision }) => firstRevision > revision)
  return next !== undefined && revision >= next.firstRevision - jump
}

/** The epoch in which a revision was written; 0 if the table does not reach back that far. */
export function epochOf(revision: number, table: readonly EpochStart[]): number {
  return table.findLast(({ firstRevision }) => firstRevision <= revision)?.epoch ?? 0
}
