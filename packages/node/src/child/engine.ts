/** How copies of shards are opened. Tests bring their own. */
import type { InSync, InSyncChange } from '../link/control.js'
import { Backup, type BackupOptions } from '../shard/backup.js'
import type { Replica } from '../shard/replica.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import { Shard, type ShardOptions } from '../shard/shard.js'
import type { Conversation, Counterpart } from './conversation.js'

/** What a primary needs to know of its followers. */
export interface ReplicationOptions {
  readonly copy: number
  readonly inSync: InSync
  readonly minInSync: number
  ask(change: InSyncChange, version: number): void
}

export interface PrimaryOptions extends ShardOptions {
  /** Of a backup that is promoted: it is not opened anew. */
  readonly replica?: Replica
  readonly replication?: ReplicationOptions
  /** Followers may attach from now on: the start of the epoch may wait for them. */
  readonly onOpening: (shard: Primary) => void
}

/** A primary as this file needs it. */
export interface Primary extends Shard {
  readonly replication?: {
    attach(copy: number, to: Counterpart<ToFollower>): Conversation<ToPrimary>
    onStored(inSync: InSync): void
  }
}

export interface Engine {
  openShard(options: PrimaryOptions): Promise<Primary>
  openBackup(options: BackupOptions): Promise<Backup>
}

export const REAL_ENGINE: Engine = {
  openShard: (options) => Shard.open(options),
  openBackup: (options) => Backup.open(options),
}
