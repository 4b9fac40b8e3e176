/**
 * Everything the coordinator decides on, as one immutable value, and how it changes.
 *
 * Two kinds of change: what happened (`observe`: a child answered, a process ended) and what the
 * planner decided (`carryOut`: see `plan.ts`). What a child says counts only if it speaks of the
 * shard, epoch and child that stand; anything else is late and changes nothing.
 */
import { NO_CHILD } from '@kv/protocol'
import type { Topology } from '@kv/protocol'
import type { InSyncChange } from '../link/control.js'
import type { ChildState } from './child-state.js'
import {
  becomeAbsent,
  becomeEnding,
  becomeReady,
  becomeRetiring,
  becomeStarting,
  joiningChild,
  withLeaving,
  withProcess,
} from './child-state.js'
import type { CopyState, Failure } from './copy-state.js'
import {
  becomeBlank,
  becomeClosed,
  becomeDamaged,
  becomeFailed,
  becomeFollowing,
  becomeOpen,
  becomeOpening,
  becomeReleasing,
  isHeld,
} from './copy-state.js'
import type { ProcessIdentity } from './process-identity.js'
import type { ShardState } from './shard-state.js'
import {
  becomePrimary,
  becomeTold,
  copyOf,
  hostedCopy,
  judgeSetRequest,
  withCopy,
  withCreatedMembers,
} from './shard-state.js'
import type { ShardStep, Step } from './step.js'
import type { Exit } from './suspects.js'
import { afterExit } from './suspects.js'

export interface NodeState {
  /** Copies in sync below which writes wait. */
  readonly minInSync: number
  /** By shard id. */
  readonly shards: readonly ShardState[]
  /** In the order of their ids, which begin at 1. Those that are leaving come last. */
  readonly children: readonly ChildState[]
  /** What clients were told last. */
  readonly published: Topology
}

interface FromCopy {
  readonly child: number
  readonly shard: number
  readonly hosting: number
}

export type NodeEvent =
  /** The node is to have so many children from now on. */
  | { readonly type: 'scaled'; readonly children: number }
  | { readonly type: 'forked'; readonly child: number; readonly process: ProcessIdentity }
  | {
      readonly type: 'started'
      readonly child: number
      readonly port?: number
      readonly nowMs: number
    }
  /** The child is to be killed; its exit is still to come. */
  | { readonly type: 'condemned'; readonly child: number }
  | ({ readonly type: 'exited' } & Exit)
  | ({ readonly type: 'opened'; readonly epoch: number; readonly nowMs: number } & FromCopy)
  | ({ readonly type: 'backing'; readonly nowMs: number } & FromCopy)
  | ({ readonly type: 'released' } & FromCopy)
  | ({ readonly type: 'failed'; readonly damaged: boolean } & FromCopy & Failure)
  | {
      readonly type: 'askSet'
      readonly child: number
      readonly shard: number
      readonly epoch: number
      readonly version: number
      readonly change: InSyncChange
    }

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

/** How many children the node is to have. */
export function childCountOf({ children }: NodeState): number {
  return children.filter(({ isLeaving }) => !isLeaving).length
}

/** What happened. Events of a child's former process must not be passed in. */
export function observe(state: NodeState, event: NodeEvent): NodeState {
  switch (event.type) {
    case 'scaled':
      return scaled(state, event.children)
    case 'forked':
      return withChild(state, withProcess(childOf(state, event.child), event.process))
    case 'started': {
      const child = childOf(state, event.child)
      if (child.phase !== 'starting') return state
      return withChild(state, becomeReady(child, event.nowMs, event.port))
    }
    case 'condemned':
      return withChild(state, becomeEnding(childOf(state, event.child)))
    case 'exited': {
      const child = becomeAbsent(childOf(state, event.child), event.nowMs, event.chance)
      const shards = afterExit(state.shards, event)
      return withoutGone({ ...withChild(state, child), shards })
    }
    case 'askSet': {
      const shard = shardOfState(state, event.shard)
      const judged = judgeSetRequest(shard, event)
      return judged === shard ? state : withShard(state, judged)
    }
    case 'opened': {
      const opened = change(state, event, (copy, shard) => {
        const isAsked = copy.role === 'primary' && shard.epoch === event.epoch
        return isAsked && copy.phase === 'opening' ? becomeOpen(copy, event.nowMs) : copy
      })
      if (opened === state) return state
      return withShard(opened, withCreatedMembers(shardOfState(opened, event.shard)))
    }
    case 'backing':
      return change(state, event, (copy) =>
        copy.role === 'backup' && copy.phase === 'opening' ? becomeOpen(copy, event.nowMs) : copy,
      )
    case 'released':
      return change(state, event, becomeClosed)
    case 'failed':
      return change(state, event, (copy) =>
        event.damaged ? becomeDamaged(copy, event) : becomeFailed(copy, event),
      )
  }
}

/** What the planner decided, as if it were done: steps are carried out after this is persisted. */
export function carryOut(state: NodeState, step: Step): NodeState {
  switch (step.type) {
    case 'fork':
      return withChild(state, becomeStarting(childOf(state, step.child)))
    case 'retire':
      return withChild(state, becomeRetiring(childOf(state, step.child)))
    case 'condemn':
      return withChild(state, becomeEnding(childOf(state, step.child)))
    case 'publish':
      return { ...state, published: step.topology }
    case 'open':
    case 'back':
    case 'release':
    case 'tell':
      return withShard(state, carryOutShard(shardOfState(state, step.shard), step))
  }
}

/** The same for a step that is about one shard. */
export function carryOutShard(shard: ShardState, step: ShardStep): ShardState {
  switch (step.type) {
    case 'open':
      return becomePrimary(shard, step)
    case 'back': {
      const { child, hosting, follows, atMs: sinceMs } = step
      const found = copyOf(shard, step.copy)
      if (isHeld(found)) return withCopy(shard, becomeFollowing(found, follows))
      const copy = found.phase === 'damaged' ? becomeBlank(found) : found
      return withCopy(
        shard,
        becomeOpening(copy, { child, hosting, role: 'backup', follows, sinceMs }),
      )
    }
    case 'release':
      return withCopy(shard, becomeReleasing(copyOf(shard, step.copy), step.atMs))
    case 'tell':
      return becomeTold(shard, step.inSync.version)
  }
}

/** Children are numbered from 1 without gaps: the last ones leave, new ones are added at the end. */
function scaled(state: NodeState, count: number): NodeState {
  const children = state.children.map((child) => withLeaving(child, child.id > count))
  for (let id = children.length + 1; id <= count; id += 1) children.push(joiningChild(id))
  return withoutGone({ ...state, children })
}

/** Forgets those that have left. */
function withoutGone(state: NodeState): NodeState {
  const last = state.children.findLastIndex(
    ({ phase, isLeaving }) => phase !== 'absent' || !isLeaving,
  )
  const children = state.children.slice(0, last + 1)
  return children.length === state.children.length ? state : { ...state, children }
}

function change(
  state: NodeState,
  from: FromCopy,
  become: (copy: CopyState, shard: ShardState) => CopyState,
): NodeState {
  const shard = shardOfState(state, from.shard)
  const copy = hostedCopy(shard, from.child, from.hosting)
  if (copy === undefined) return state
  const changed = become(copy, shard)
  return changed === copy ? state : withShard(state, withCopy(shard, changed))
}

function withShard(state: NodeState, shard: ShardState): NodeState {
  return { ...state, shards: state.shards.with(shard.id, shard) }
}

function withChild(state: NodeState, child: ChildState): NodeState {
  return { ...state, children: state.children.with(child.id - 1, child) }
}
