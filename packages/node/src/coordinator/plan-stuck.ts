/**
 * Who is ended because a shard waits for it: a disk that hangs may keep a copy opening, or being
 * released, for ever, and the coordinator can't know that its process will not serve it one day (P5).
 *
 * A backup that hangs is left alone: nobody waits for it. A primary that is neither open nor gone after
 * `STUCK_AFTER_MS` is the last resort's case: if another copy in sync is there that is not known to
 * have failed itself, the child of the primary is killed, and that one takes over. Without such a
 * copy nothing would be won. What failed counts as failed until it has been open: so two copies
 * that hang do not end each other's children in turn.
 */
import type { CopyState } from './copy-state.js'
import { isAiling } from './copy-state.js'
import type { ShardState } from './shard-state.js'
import { hasPrimary, primaryOf, usableMembers } from './shard-state.js'
import type { Step } from './step.js'
import type { View } from './view.js'
import { isWarm } from './view.js'

/** Far more than any opening of a copy takes, and than a primary waits for followers that are silent. */
export const STUCK_AFTER_MS = 10_000

export function planStuck(shards: readonly ShardState[], view: View): readonly Step[] {
  const children = new Map<number, string>()
  for (const shard of shards) {
    if (!isStuck(shard, view)) continue
    const { child, phase } = primaryOf(shard)
    const what = phase === 'opening' ? 'opening' : 'closing'
    children.set(child, `${what} shard ${shard.id} takes longer than ${STUCK_AFTER_MS} ms`)
  }
  return [...children].map(([child, why]) => ({ type: 'condemn', child, why }))
}

/** When the shard is to be looked at again, if its primary is on its way. */
export function stuckAtMs(shard: ShardState): number | undefined {
  const isUnderWay = hasPrimary(shard) && primaryOf(shard).phase !== 'open'
  return isUnderWay ? primaryOf(shard).sinceMs + STUCK_AFTER_MS : undefined
}

function isStuck(shard: ShardState, view: View): boolean {
  const atMs = stuckAtMs(shard)
  if (atMs === undefined || atMs > view.nowMs) return false
  const primary = primaryOf(shard)
  if (!view.ready.has(primary.child)) return false
  return usableMembers(shard).some((copy) => copy !== primary && canTakeOver(shard, copy, view))
}

function canTakeOver(shard: ShardState, copy: CopyState, view: View): boolean {
  return !isAiling(copy) && (copy.phase === 'closed' || isWarm(shard, copy, view.ready))
}
