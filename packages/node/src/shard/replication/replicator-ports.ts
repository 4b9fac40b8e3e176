/** What the primary's side of replication is given, and what it needs of its owner. */
import type { EpochStart } from '../log/epoch-table.js'
import type { LogFrame } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import type { SnapshotSource } from '../snapshot/parts.js'
import type { SetChange, StoredSet } from './in-sync-set.js'
import type { ToFollower } from './messages.js'

export interface ReplicatorOptions {
  readonly epoch: number
  /** The primary's own copy. */
  readonly self: number
  readonly inSync: StoredSet
  /** While fewer copies are in sync, nothing but the start of the epoch is committed. */
  readonly minInSync: number
}

export interface ReplicatorPorts {
  /** The durable log of this copy. */
  readonly log: {
    readonly last: LogPosition
    readonly epochs: readonly EpochStart[]
  }
  /**
   * Finds the last frame at or before a revision: `undefined` if the log begins later. What it finds
   * after the copy's connection has ended is not listened to.
   */
  findPosition(
    copy: number,
    revision: number,
    onFound: (after: LogPosition | undefined) => void,
  ): void
  /**
   * Reads frames that follow each other, from a revision on, some or none: `undefined` if the log no
   * longer has them.
   */
  read(
    copy: number,
    fromRevision: number,
    onRead: (frames: readonly LogFrame[] | undefined) => void,
  ): void
  /**
   * Begins a snapshot of what is committed. `committed` tells the last committed frame at the moment
   * of the call: the snapshot starts there when its beginning is made.
   */
  openSnapshot(copy: number, committed: () => LogPosition): SnapshotSource
  send(copy: number, message: ToFollower): void
  /** Asks the coordinator to persist another set; `onStored` follows, or never if it is gone. */
  ask(change: SetChange, version: number): void
  onCommit(revision: number): void
  /** The follower keeps to no protocol, or says nothing any more: its connection must end. */
  onBroken(copy: number, reason: string): void
}
