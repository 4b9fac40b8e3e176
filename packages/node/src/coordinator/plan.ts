/**
 * What is to be done next: a pure function of the state, asked again after every change.
 *
 * Level-triggered: start-up, failover, retries and moves are one code. The planner compares what
 * is with what should be and takes the steps that are safe now:
 *
 * - fork: a child that should live and has no process, once its pause is over.
 * - retire: a child that is leaving and hosts nothing any more.
 * - open, back, tell: see `plan-shard.ts`.
 * - release: a copy that placement gives to another child; see `plan-moves.ts`. Once released it is
 *   a closed copy like any other.
 * - condemn: a child for which a shard waits in vain; see `plan-stuck.ts`.
 * - publish: clients are told who serves what as soon as that has changed; see `routing.ts`.
 */
import type { NodeState } from './node-state.js'
import { carryOutShard } from './node-state.js'
import { planMoves } from './plan-moves.js'
import { planShard } from './plan-shard.js'
import { planStuck, stuckAtMs } from './plan-stuck.js'
import { routingOf } from './routing.js'
import { isHeldBy } from './shard-state.js'
import type { Step } from './step.js'
import { nextSettledMs } from './suspects.js'
import { viewOf } from './view.js'

export interface Plan {
  readonly steps: readonly Step[]
  /** When to ask again though nothing has changed; `undefined` if no pause is running. */
  readonly wakeAtMs: number | undefined
}

/** `nowMs` is monotonic. The steps are to be carried out in their order. */
export function plan(state: NodeState, nowMs: number): Plan {
  const view = viewOf(state, nowMs)
  const steps: Step[] = retirements(state)
  const shards = state.shards.map((shard) => {
    const taken = planShard(shard, view)
    steps.push(...taken)
    const next = taken.reduce(carryOutShard, shard)
    if (next !== shard) view.openings?.note(next, nowMs)
    return next
  })
  steps.push(...planStuck(state.shards, view), ...planMoves(shards, view), ...publications(state))
  // Last: a fork holds the event loop, and whoever lost a primary waits for the orders before it.
  steps.push(...forks(state, nowMs))
  return { steps, wakeAtMs: nextPauseEnd(state, nowMs) }
}

function forks(state: NodeState, nowMs: number): Step[] {
  return state.children
    .filter((child) => child.phase === 'absent' && !child.isLeaving && child.forkAtMs <= nowMs)
    .map((child) => ({ type: 'fork', child: child.id }))
}

function retirements({ children, shards }: NodeState): Step[] {
  return children
    .filter(({ id, phase, isLeaving }) => {
      return isLeaving && phase === 'ready' && !shards.some((shard) => isHeldBy(shard, id))
    })
    .map((child) => ({ type: 'retire', child: child.id }))
}

function publications(state: NodeState): Step[] {
  const topology = routingOf(state)
  return topology === state.published ? [] : [{ type: 'publish', topology }]
}

function nextPauseEnd(state: NodeState, nowMs: number): number | undefined {
  let next: number | undefined
  const consider = (endMs: number): void => {
    if (endMs > nowMs && (next === undefined || endMs < next)) next = endMs
  }
  for (const { phase, isLeaving, forkAtMs } of state.children) {
    if (phase === 'absent' && !isLeaving) consider(forkAtMs)
  }
  for (const shard of state.shards) {
    const stuckMs = stuckAtMs(shard)
    if (stuckMs !== undefined) consider(stuckMs)
    const { copies } = shard
    for (const { phase, retryAtMs } of copies) {
      // A damaged copy may be made anew if there is another; the only one waits for an operator.
      if (phase === 'closed' || (phase === 'damaged' && copies.length > 1)) consider(retryAtMs)
    }
  }
  const settledMs = nextSettledMs(state.shards, nowMs)
  if (settledMs !== undefined) consider(settledMs)
  return next
}
