/**
 * Everything the coordinator decides on, as one immutable value, and how it changes.
 *
 * Two kinds of change: what happened (`observe`: a child answered, a process ended) and what the
 * planner decided (`carryOut`: see `plan.ts`). What a child says counts only if it speaks of the
 * shard, epoch and child that stand; anything else is late and changes nothing.
 */
import { NO_CHILD } from '@kv/protocol'
import type { Topology } from '@kv/protocol'
import type { ChildState } from './child-state.js'
import {
  becomeAbsent,
  becomeEnding,
  becomeReady,
  becomeStarting,
  withProcess,
} from './child-state.js'
import type { Step } from './plan.js'
import type { ProcessIdentity } from './process-identity.js'
import type { ShardState } from './shard-state.js'
import {
  becomeClosed,
  becomeDamaged,
  becomeFailed,
  becomeOpen,
  becomeOpening,
  becomeReleasing,
  isHeld,
  isHeldBy,
} from './shard-state.js'

export interface NodeState {
  /** By shard id. */
  readonly shards: readonly ShardState[]
  /** In the order of their ids, which begin at 1. */
  readonly children: readonly ChildState[]
  /** What clients were told last. */
  readonly published: Topology
}

interface FromShard {
  readonly child: number
  readonly shard: number
  readonly epoch: number
}

interface Moment {
  /** Monotonic. */
  readonly nowMs: number
  /** In [0, 1), for the pause before the next try. */
  readonly chance: number
}

export type NodeEvent =
  | { readonly type: 'forked'; readonly child: number; readonly process: ProcessIdentity }
  | { readonly type: 'started'; readonly child: number; readonly nowMs: number }
  /** The child is to be killed; its exit is still to come. */
  | { readonly type: 'condemned'; readonly child: number }
  | ({ readonly type: 'exited'; readonly child: number } & Moment)
  | ({ readonly type: 'opened' } & FromShard)
  | ({ readonly type: 'released' } & FromShard)
  | ({ readonly type: 'failed'; readonly reason: string; readonly damaged: boolean } & FromShard &
      Moment)

/** The topology before anything is open: what clients are told first. */
export function firstTopology(version: number, shards: readonly ShardState[]): Topology {
  return {
    version,
    shardCount: shards.length,
    children: [],
    primaries: shards.map(() => NO_CHILD),
    epochs: shards.map((shard) => shard.epoch),
    backups: [],
  }
}

export function childOf(state: NodeState, id: number): ChildState {
  const child = state.children[id - 1]
  if (child === undefined) throw new Error(`there is no child ${id}`)
  return child
}

export function shardOfState(state: NodeState, id: number): ShardState {
  const shard = state.shards[id]
  if (shard === undefined) throw new Error(`there is no shard ${id}`)
  return shard
}

/** What happened. Events of a child's former process must not be passed in. */
export function observe(state: NodeState, event: NodeEvent): NodeState {
  switch (event.type) {
    case 'forked':
      return withChild(state, withProcess(childOf(state, event.child), event.process))
    case 'started': {
      const child = childOf(state, event.child)
      return child.phase === 'starting' ? withChild(state, becomeReady(child, event.nowMs)) : state
    }
    case 'condemned':
      return withChild(state, becomeEnding(childOf(state, event.child)))
    case 'exited': {
      const child = becomeAbsent(childOf(state, event.child), event.nowMs, event.chance)
      const shards = state.shards.map((shard) =>
        isHeld(shard) && shard.child === child.id ? afterExit(shard, event) : shard,
      )
      return { ...withChild(state, child), shards }
    }
    case 'opened':
      return change(state, event, (shard) =>
        shard.phase === 'opening' ? becomeOpen(shard) : shard,
      )
    case 'released':
      return change(state, event, becomeClosed)
    case 'failed':
      return change(state, event, (shard) =>
        event.damaged ? becomeDamaged(shard, event.reason) : becomeFailed(shard, event),
      )
  }
}

/** What the planner decided, as if it were done: steps are carried out after this is persisted. */
export function carryOut(state: NodeState, step: Step): NodeState {
  switch (step.type) {
    case 'fork':
      return withChild(state, becomeStarting(childOf(state, step.child)))
    case 'open':
      return withShard(state, becomeOpening(shardOfState(state, step.shard), step.child))
    case 'release':
      return withShard(state, becomeReleasing(shardOfState(state, step.shard)))
    case 'publish':
      return { ...state, published: step.topology }
  }
}

/** A shard that ends every child that opens it must not be tried again without a pause. */
function afterExit(shard: ShardState, moment: Moment): ShardState {
  if (shard.phase !== 'opening') return becomeClosed(shard)
  const reason = `child ${shard.child} ended while it opened the shard`
  return becomeFailed(shard, { reason, ...moment })
}

function change(
  state: NodeState,
  from: FromShard,
  become: (shard: ShardState) => ShardState,
): NodeState {
  const shard = shardOfState(state, from.shard)
  return isHeldBy(shard, from.child, from.epoch) ? withShard(state, become(shard)) : state
}

function withShard(state: NodeState, shard: ShardState): NodeState {
  return { ...state, shards: state.shards.with(shard.id, shard) }
}

function withChild(state: NodeState, child: ChildState): NodeState {
  return { ...state, children: state.children.with(child.id - 1, child) }
}
