/**
 * How far a node is from where its planner wants it: pure looks at the state.
 */
import { NO_CHILD } from '@kv/protocol'
import type { NodeState } from './node-state.js'
import { routingOf } from './routing.js'
import type { ShardState } from './shard-state.js'
import { hasPrimary, isMember, primaryOf } from './shard-state.js'
import type { View } from './view.js'
import { isPlaceable, placeOf, viewOf } from './view.js'

/** A copy that failed to open this often is left to retries in the background. */
export const COPY_FAILURES_MAX = 3

/** A child that ended this often in a row will not come up by waiting. */
export const CHILD_ENDS_MAX = 5

/** By shard: the child that is to serve it, of those that another one serves or should serve. */
export function movesToCome(state: NodeState, nowMs: number): ReadonlyMap<number, number> {
  const view = viewOf(state, nowMs)
  const moves = new Map<number, number>()
  for (const shard of state.shards) {
    const wanted = wantedPrimary(shard, view)
    const isThere = primaryOf(shard).phase === 'open' && primaryOf(shard).child === wanted
    if (wanted !== NO_CHILD && !isThere) moves.set(shard.id, wanted)
  }
  return moves
}

/**
 * Whether nothing is left to move: every child that is wanted is there and no other, every copy where
 * it belongs and in sync, every primary too, and clients told. What can't be opened is not waited for.
 */
export function isSettled(state: NodeState, nowMs: number): boolean {
  if (state.children.some(({ phase, isLeaving }) => phase !== 'ready' || isLeaving)) return false
  if (routingOf(state) !== state.published) return false
  const view = viewOf(state, nowMs)
  return state.shards.every((shard) => isAtHome(shard, view))
}

function isAtHome(shard: ShardState, view: View): boolean {
  const expected = shard.copies.filter(
    (copy) => isPlaceable(shard, copy) && copy.failures < COPY_FAILURES_MAX,
  )
  const areThere = expected.every(
    (copy) =>
      copy.phase === 'open' &&
      copy.child === placeOf(view, shard.id, copy.copy) &&
      isMember(shard, copy.copy),
  )
  if (!areThere || !hasPrimary(shard)) return areThere
  return wantedPrimary(shard, view) === primaryOf(shard).child
}

/** The only copy is served where it is placed, one of several by whom the primaries are even. */
function wantedPrimary(shard: ShardState, view: View): number {
  if (view.placement.get(shard.id)?.size === 1) return placeOf(view, shard.id, shard.primary)
  return view.primaries.get(shard.id) ?? NO_CHILD
}
