/**
 * Whether a node that starts has arrived: a pure look at the state, taken after every change.
 *
 * Arrived is: every shard has a primary that serves it, or it is as good as it will get (no copy
 * left that could, or all failed several times while all children are well). A child that keeps ending before that makes the start fail.
 */
import { NO_CHILD } from '@kv/protocol'
import type { NodeState } from './node-state.js'
import { CHILD_ENDS_MAX, COPY_FAILURES_MAX } from './settled.js'
import { usableMembers } from './shard-state.js'

export type StartOutcome =
  | { readonly type: 'pending' }
  /** `missing`: shards that can't be used all the same. */
  | { readonly type: 'arrived'; readonly missing: readonly number[] }
  | { readonly type: 'failed'; readonly reason: string }

export function startOutcome(state: NodeState): StartOutcome {
  const missing = state.shards.filter((shard) => state.published.primaries[shard.id] === NO_CHILD)
  const areAllGivenUp = missing.every((shard) =>
    usableMembers(shard).every((copy) => copy.failures >= COPY_FAILURES_MAX),
  )
  const areAllReady = state.children.every((child) => child.phase === 'ready')
  if (missing.length === 0 || (areAllGivenUp && areAllReady)) {
    return { type: 'arrived', missing: missing.map((shard) => shard.id) }
  }
  const looping = state.children.find((child) => child.failures >= CHILD_ENDS_MAX)
  if (looping === undefined) return { type: 'pending' }
  const reason = `child ${looping.id} ended ${looping.failures} times in a row`
  return { type: 'failed', reason }
}
