/**
 * The state as it is stored, and the state after a restart. Pure.
 *
 * Stored is what a new coordinator must know: epochs, who hosted what, what was created, which
 * processes may still live. What is open and what waits is not: after a restart nothing is open.
 */
import type { NodeState } from './node-state.js'
import type { ShardState } from './shard-state.js'
import { closedShard } from './shard-state.js'
import type { StoredProcess, StoredShard, StoredTopology } from './stored-records.js'

/** Volume and copy of every shard's files: this version keeps one copy, on the first volume. */
const ONLY_COPY = 0
const ONLY_VOLUME = 0

export interface StateRecord {
  readonly shards: readonly StoredShard[]
  readonly processes: readonly StoredProcess[]
}

export function recordOf(state: NodeState): StateRecord {
  return {
    shards: state.shards.map((shard) => ({
      epoch: shard.epoch,
      primary: ONLY_COPY,
      copies: [{ volume: ONLY_VOLUME, child: shard.child, isCreated: shard.isCreated }],
    })),
    processes: state.children.flatMap((child) =>
      child.process === undefined ? [] : [{ child: child.id, ...child.process }],
    ),
  }
}

/** The shards as a new coordinator finds them: closed, since no process is left. */
export function restoreShards(stored: StoredTopology): ShardState[] {
  return stored.shards.map((shard, id) => {
    const copy = shard.copies[shard.primary]
    if (copy === undefined) throw new Error(`shard ${id} has no copy ${shard.primary}`)
    const { child, isCreated } = copy
    return closedShard(id, { epoch: shard.epoch, child, isCreated })
  })
}
