/**
 * What is released though nothing forces it, so that every child has its share.
 *
 * A backup is released and then hosted elsewhere. A primary is released for a copy that is open and
 * in sync where the primary should be; then that one is promoted, and the former becomes its backup.
 * The only copy of a shard moves as it is. It is done for a few shards at a time, one copy of a
 * shard at a time, never while a shard waits for somebody to serve it, and never with a shard that
 * needs what is to be moved.
 */
import { NO_CHILD } from '@kv/protocol'
import type { CopyState } from './copy-state.js'
import type { ShardState } from './shard-state.js'
import { hasPrimary, isHeldBy, isMember, primaryOf } from './shard-state.js'
import type { ShardStep } from './step.js'
import type { View } from './view.js'
import { isWarm, placeOf } from './view.js'

/** Shards that may be between two children at a time when nothing forces them. */
export const MOVES_AT_ONCE_MAX = 2

/**
 * `shards` as they are once everything else that this round has planned is under way. Primaries
 * follow when backups are where they belong: only there can they be taken over.
 */
export function planMoves(shards: readonly ShardState[], view: View): readonly ShardStep[] {
  if (view.isUnsettled) return []
  const room = Math.max(0, MOVES_AT_ONCE_MAX - shards.filter(isUnderWay).length)
  const quiet = shards.filter((shard) => !isUnderWay(shard) && isServed(shard, view))
  const backups = quiet.flatMap((shard) => release(shard, backupToMove(shard, view), view))
  if (backups.length > 0) return backups.slice(0, room)
  return quiet.flatMap((shard) => release(shard, primaryToMove(shard, view), view)).slice(0, room)
}

function release(
  { id: shard }: ShardState,
  leaving: CopyState | undefined,
  { nowMs: atMs }: View,
): ShardStep[] {
  if (leaving === undefined) return []
  const { copy, child, hosting } = leaving
  return [{ type: 'release', shard, copy, child, hosting, atMs }]
}

function isUnderWay(shard: ShardState): boolean {
  return shard.copies.some(({ phase }) => phase === 'opening' || phase === 'releasing')
}

function isServed(shard: ShardState, view: View): boolean {
  return hasPrimary(shard) && view.ready.has(primaryOf(shard).child)
}

function backupToMove(shard: ShardState, view: View): CopyState | undefined {
  return shard.copies.find(
    (copy) =>
      copy.copy !== shard.primary && isMisplaced(shard, copy, view) && canSpare(shard, copy, view),
  )
}

function primaryToMove(shard: ShardState, view: View): CopyState | undefined {
  const primary = primaryOf(shard)
  return isPrimaryElsewhere(shard, view) && canSpare(shard, primary, view) ? primary : undefined
}

/** Whether the copy could go to where it belongs. */
function isMisplaced(shard: ShardState, copy: CopyState, view: View): boolean {
  const child = placeOf(view, shard.id, copy.copy)
  if (copy.phase !== 'open' || !view.ready.has(copy.child)) return false
  return child !== copy.child && view.ready.has(child) && !isHeldBy(shard, child)
}

function isPrimaryElsewhere(shard: ShardState, view: View): boolean {
  const primary = primaryOf(shard)
  const isOnlyCopy = view.placement.get(shard.id)?.size === 1
  if (isOnlyCopy) return isMisplaced(shard, primary, view)
  const wanted = view.primaries.get(shard.id) ?? NO_CHILD
  if (wanted === primary.child) return false
  return shard.copies.some((copy) => copy.child === wanted && isWarm(shard, copy, view.ready))
}

/**
 * Whether enough copies in sync stay open meanwhile: as many as writes need, or all others if all
 * are needed; then writes wait for the moment that the move takes.
 */
function canSpare(shard: ShardState, leaving: CopyState, view: View): boolean {
  const existing = shard.copies.filter(({ phase }) => phase !== 'lost')
  const staying = existing.filter(
    (copy) =>
      copy !== leaving &&
      isMember(shard, copy.copy) &&
      copy.phase === 'open' &&
      view.ready.has(copy.child),
  )
  return staying.length >= Math.min(view.minInSync, existing.length - 1)
}
