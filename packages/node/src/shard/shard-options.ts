/** How a shard is opened as primary. */
import type { Clock } from './clock.js'
import type { HistoryLimits } from './feed/history.js'
import type { ReplicationOptions } from './primary/replicated-log.js'
import type { Replica, ReplicaOptions } from './replica.js'
import type { Pace } from './sequencer/sequencer.js'
import type { Shard } from './shard.js'
import type { SnapshotSettings } from './snapshot/snapshot-keeper.js'

export interface ShardOptions extends ReplicaOptions {
  readonly epoch: number
  readonly clock: Clock
  /** The epoch begins with a jump: the log may have lost what was acknowledged, now or ever before. */
  readonly jumps?: boolean
  /** When groups are written; at once unless said otherwise. */
  readonly pace?: Pace
  /** How far back the log is kept for watchers; not at all unless said otherwise. */
  readonly history?: HistoryLimits
  /** A copy that has followed, to go on with instead of opening the directory. */
  readonly replica?: Replica
  /** Where there are other copies. What is appended counts once they have it. */
  readonly replication?: ReplicationOptions
  /** When snapshots are taken into files; none unless said, and what is there of them goes. */
  readonly snapshots?: SnapshotSettings
  /** Called before the epoch begins, which may take until others follow: they can attach from now on. */
  readonly onOpening?: (shard: Shard) => void
  /** The shard can't go on in this epoch. It takes no more calls and is to be closed. */
  readonly onFailure: (error: Error) => void
}
