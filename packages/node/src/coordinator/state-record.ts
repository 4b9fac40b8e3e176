/**
 * The state as it is stored, and the state after a restart. Pure.
 *
 * Stored is what a new coordinator must know: epochs, sets, who hosted what, what was created, which
 * processes may still live. What is open and what waits is not: after a restart nothing is open.
 */
import { NO_CHILD } from '@kv/protocol'
import type { CopyState } from './copy-state.js'
import { closedCopy } from './copy-state.js'
import type { NodeState } from './node-state.js'
import type { ShardState } from './shard-state.js'
import { isMember } from './shard-state.js'
import type { StoredProcess, StoredShard, StoredTopology } from './stored-records.js'

export interface StateRecord {
  readonly shards: readonly StoredShard[]
  readonly processes: readonly StoredProcess[]
}

export function recordOf(state: NodeState): StateRecord {
  return {
    shards: state.shards.map(({ epoch, primary, inSync, copies }) => ({
      epoch,
      primary,
      inSync,
      copies: copies.map(({ volume, child, hosting, isCreated }) => ({
        volume,
        child,
        hosting,
        isCreated,
      })),
    })),
    processes: state.children.flatMap((child) =>
      child.process === undefined ? [] : [{ child: child.id, ...child.process }],
    ),
  }
}

/** What a node is to keep, and where. */
export interface Replication {
  /** Copies of every shard: at least as many as are stored. */
  readonly copies: number
  readonly volumeCount: number
  /** Volumes that are gone with everything on them, by index. */
  readonly lostVolumes: readonly number[]
}

/** Volume of a copy: neighbours, so that the copies of a shard are on different ones. */
export function volumeOfCopy(shard: number, copy: number, volumeCount: number): number {
  return (shard + copy) % volumeCount
}

/** What is stored of a shard that nobody has opened yet. Its copies are all equal: empty. */
export function storedNewShard(id: number, copies: number, volumeCount: number): StoredShard {
  const numbers = Array.from({ length: copies }, (_, copy) => copy)
  return {
    epoch: 0,
    primary: 0,
    inSync: { version: 1, members: numbers },
    copies: numbers.map((copy) => ({
      volume: volumeOfCopy(id, copy, volumeCount),
      child: NO_CHILD,
      hosting: 0,
      isCreated: false,
    })),
  }
}

/** The shards as a new coordinator finds them: closed, since no process is left. */
export function restoreShards(
  stored: Pick<StoredTopology, 'shards'>,
  replication: Replication,
): ShardState[] {
  return stored.shards.map((shard, id) => {
    const { epoch, primary } = shard
    if (shard.copies[primary] === undefined) throw new Error(`shard ${id} has no copy ${primary}`)
    const inSync = shard.inSync ?? { version: 1, members: [primary] }
    const copies = shard.copies.map(({ volume, child, hosting = 0, isCreated }, copy) =>
      closedCopy(copy, { volume, child, hosting, isCreated }),
    )
    for (let copy = copies.length; copy < replication.copies; copy += 1) {
      copies.push(closedCopy(copy, { volume: volumeOfCopy(id, copy, replication.volumeCount) }))
    }
    const restored = { id, epoch, primary, inSync, toldVersion: inSync.version, copies }
    return withoutLost(restored, replication.lostVolumes)
  })
}

/**
 * What is lost leaves the set, unless nothing else is in it: then an operator has to find it again.
 * Should its volume return, it counts as a new one: what it holds is as old as can be.
 */
function withoutLost(shard: ShardState, lostVolumes: readonly number[]): ShardState {
  if (lostVolumes.length === 0) return shard
  const isLost = (copy: CopyState): boolean => lostVolumes.includes(copy.volume)
  const members = shard.inSync.members.filter((member) => !isLost(shard.copies[member]!))
  const isLeft = members.length > 0
  const hasChanged = isLeft && members.length < shard.inSync.members.length
  const inSync = hasChanged ? { version: shard.inSync.version + 1, members } : shard.inSync
  const without = { ...shard, inSync, toldVersion: inSync.version }
  const copies = shard.copies.map((copy): CopyState => {
    if (!isLost(copy)) return copy
    return { ...copy, phase: 'lost', isCreated: copy.isCreated && isMember(without, copy.copy) }
  })
  return { ...without, copies }
}
