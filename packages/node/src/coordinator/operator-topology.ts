/**
 * The topology as operators see it: what clients see, and besides it who runs where and why
 * something does not.
 */
import { NO_CHILD } from '@kv/protocol'
import type { ChildPhase } from './child-state.js'
import type { CopyPhase, CopyRole, CopyState } from './copy-state.js'
import { isHeld } from './copy-state.js'
import type { NodeState } from './node-state.js'
import type { ShardPhase, ShardState } from './shard-state.js'
import { shardPhase, shardReason } from './shard-state.js'

export interface NodeTopology {
  /** Of what clients were told last; grows with every change. */
  readonly version: number
  readonly shards: readonly NodeShard[]
  readonly children: readonly NodeChild[]
}

export interface NodeShard {
  readonly id: number
  readonly epoch: number
  /** The child that serves the shard; 0 while none does. */
  readonly primary: number
  readonly state: ShardPhase
  /** Why it is not open, if there is more to say than its state. */
  readonly reason?: string
  /** Copies that hold every acknowledged write, by copy number. */
  readonly inSync: readonly number[]
  readonly copies: readonly NodeCopy[]
}

export interface NodeCopy {
  readonly copy: number
  /** The child that hosts it, or did last. */
  readonly child: number
  readonly directory: string
  readonly state: CopyPhase
  /** While a child hosts it. */
  readonly role?: CopyRole
  /** Why it is not open, if there is more to say than its state. */
  readonly reason?: string
}

export interface NodeChild {
  readonly id: number
  /** 0 while there is no process. */
  readonly pid: number
  /** Where it listens for direct connections; 0 if it does not. */
  readonly port: number
  readonly state: ChildPhase
  /** It is not wanted any more: what it has moves to others, then it ends. */
  readonly isLeaving: boolean
}

export function operatorTopology(
  state: NodeState,
  directoryOf: (shard: number, copy: CopyState) => string,
): NodeTopology {
  return {
    version: state.published.version,
    shards: state.shards.map((shard) => ({
      id: shard.id,
      epoch: shard.epoch,
      primary: state.published.primaries[shard.id] ?? NO_CHILD,
      state: shardPhase(shard),
      ...why(shardReason(shard)),
      inSync: shard.inSync.members,
      copies: shard.copies.map((copy) => ({
        copy: copy.copy,
        child: copy.child,
        directory: directoryOf(shard.id, copy),
        state: copy.phase,
        ...(isHeld(copy) ? { role: copy.role } : {}),
        ...why(copy.reason),
      })),
    })),
    children: state.children.map((child) => ({
      id: child.id,
      pid: child.process?.pid ?? 0,
      port: child.port,
      state: child.phase,
      isLeaving: child.isLeaving,
    })),
  }
}

/** The shards that can't be used at the moment, each with the reason. */
export function missingShards(
  state: NodeState,
): readonly { readonly shard: number; readonly reason: string }[] {
  return state.shards
    .filter((shard) => state.published.primaries[shard.id] === NO_CHILD)
    .map((shard) => ({ shard: shard.id, reason: whyMissing(shard) }))
}

function whyMissing(shard: ShardState): string {
  const reason = shardReason(shard)
  return reason === '' ? shardPhase(shard) : `${shardPhase(shard)}: ${reason}`
}

function why(reason: string): { readonly reason?: string } {
  return reason === '' ? {} : { reason }
}
