/**
 * @kv/node: the kv server. One coordinator per data directory, shard children behind it.
 */
export type { NodeLimitOptions, NodeOptions } from './config.js'
export type { ChildExit } from './coordinator/child-process.js'
export type { ChildPhase } from './coordinator/child-state.js'
export type { CopyPhase, CopyRole } from './coordinator/copy-state.js'
export type { Failover, Move } from './coordinator/failover-watch.js'
export type {
  NodeChild,
  NodeCopy,
  NodeShard,
  NodeTopology,
} from './coordinator/operator-topology.js'
export type { ShardPhase } from './coordinator/shard-state.js'
export type {
  BackupStats,
  ChildStats,
  CoordinatorStats,
  NodeStats,
  ProcessStats,
  ScalingStats,
  ShardStats,
} from './coordinator/statistics.js'
export type { LogLevel } from './logger.js'
export type { KvNode, NodeEvents } from './node.js'
export { startNode } from './node.js'
export { KvError } from '@kv/protocol'
