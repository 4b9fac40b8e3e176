/**
 * What the world of the planner's model test consists of.
 */
import type { InSync, InSyncChange, ToChild } from '../../link/control.js'
import { absentChild } from '../child-state.js'
import type { NodeEvent, NodeState } from '../node-state.js'
import { childCountOf, firstTopology } from '../node-state.js'
import { recordOf, restoreShards } from '../state-record.js'

/** One copy in one process. */
export interface Hosted {
  readonly copy: number
  readonly hosting: number
  role: 'primary' | 'backup'
  /** Of a backup: the process it dials, by its address. */
  follows: string
  /** Of a backup: the epoch of the primary with which it has caught up. */
  joined: number
  /** Of a primary. */
  epoch: number
  set: InSync
  asked: InSyncChange | undefined
  isServing: boolean
}

/** One process of a child. */
export interface Process {
  readonly child: number
  readonly address: string
  /** What it was told and has not taken yet. */
  readonly inbox: ToChild[]
  /** What it said and the coordinator has not heard yet; its exit is last. */
  readonly outbox: NodeEvent[]
  /** By shard. */
  readonly hosts: Map<number, Hosted>
  /** By shard: the number of the last hosting that is over. What is said of it comes too late. */
  readonly ended: Map<number, number>
  isAlive: boolean
  /** It was sent SIGKILL; the kernel takes its time. */
  isCondemned: boolean
}

export interface Directory {
  exists: boolean
  isDamaged: boolean
  /** Whoever opens it dies of it. */
  isPoisoned: boolean
  /** Acknowledged writes that it holds. */
  holds: number
}

export function absentDirectory(): Directory {
  return { exists: false, isDamaged: false, isPoisoned: false, holds: 0 }
}

export interface WorldSize {
  readonly shards: number
  readonly children: number
  readonly copies: number
}

/** Whether something was said to it or by it that nobody has taken. */
export function isBusy({ isAlive, inbox, outbox }: Process): boolean {
  return outbox.length > 0 || (isAlive && inbox.length > 0)
}

/** The state as another coordinator finds it on disk. */
export function restarted(state: NodeState): NodeState {
  const { shards: stored } = recordOf(state)
  const copies = stored[0]!.copies.length
  const shards = restoreShards({ shards: stored }, { copies, volumeCount: 1, lostVolumes: [] })
  const count = childCountOf(state)
  return {
    minInSync: state.minInSync,
    shards,
    children: Array.from({ length: count }, (_, index) => absentChild(index + 1)),
    published: firstTopology(state.published.version + 1, shards),
  }
}

/** Who has a copy of the shard open. */
export function hostingsIn(
  living: readonly Process[],
  shard: number,
): { process: Process; hosted: Hosted }[] {
  return living.flatMap((process) => {
    const hosted = process.hosts.get(shard)
    return hosted === undefined ? [] : [{ process, hosted }]
  })
}

export function primariesIn(
  living: readonly Process[],
): { process: Process; shard: number; hosted: Hosted }[] {
  return living.flatMap((process) =>
    [...process.hosts]
      .filter(([, hosted]) => hosted.role === 'primary')
      .map(([shard, hosted]) => ({ process, shard, hosted })),
  )
}
