/**
 * What the world of the planner's model test consists of.
 */
import type { InSync, InSyncChange, ToChild } from '../../link/control.js'
import type { NodeEvent } from '../node-state.js'

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
