/** How copies of shards are opened. Tests bring their own. */
import { Backup, type BackupOptions } from '../shard/backup.js'
import { Shard, type ShardOptions } from '../shard/shard.js'

/** Followers may attach from `onOpening` on: the start of the epoch may wait for them. */
export type PrimaryOptions = ShardOptions & Required<Pick<ShardOptions, 'onOpening'>>

export interface Engine {
  openShard(options: PrimaryOptions): Promise<Shard>
  openBackup(options: BackupOptions): Promise<Backup>
}

export const REAL_ENGINE: Engine = {
  openShard: (options) => Shard.open(options),
  openBackup: (options) => Backup.open(options),
}
