/**
 * The answers of all children and what the coordinator knows itself, put together. Pure but for what
 * the process says of itself.
 */
import type { ChildReport } from '../link/control.js'
import type { NodeState } from './node-state.js'
import { childCountOf } from './node-state.js'
import { isSettled } from './settled.js'
import type {
  ChildStats,
  CoordinatorStats,
  NodeStats,
  ShardStats,
  Statistics,
} from './statistics.js'

type Connected = Pick<CoordinatorStats, 'connections' | 'batchesInFlight' | 'fsync'>

/** `nowMs` is monotonic. */
export function measurementOf(
  state: NodeState,
  {
    statistics,
    reports,
    connected,
    nowMs,
  }: {
    readonly statistics: Statistics
    readonly reports: ReadonlyMap<number, ChildReport>
    readonly connected: Connected
    readonly nowMs: number
  },
): NodeStats {
  const shards = statistics.shards(state, reports, nowMs)
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return {
    coordinator: {
      pid: process.pid,
      rssBytes: rss,
      heapBytes: heapUsed,
      cpuMs: (user + system) / 1_000,
      ...connected,
    },
    scaling: {
      children: childCountOf(state),
      shardsToMove: shards.filter(({ movesTo }) => movesTo !== undefined).length,
      isSettled: isSettled(state, nowMs),
    },
    children: [...reports].map(([id, report]) => childStats(state, shards, { id, report })),
    shards,
  }
}

function childStats(
  state: NodeState,
  shards: readonly ShardStats[],
  { id, report }: { readonly id: number; readonly report: ChildReport },
): ChildStats {
  const { rssBytes, heapBytes, cpuMs, directConnections, copies } = report
  const child = state.children[id - 1]
  const served = shards.filter(({ primary }) => primary === id)
  const hosted = [...report.shards, ...copies]
  return {
    id,
    pid: child?.process?.pid ?? 0,
    // One that has gone meanwhile.
    state: child?.phase ?? 'absent',
    isLeaving: child?.isLeaving ?? true,
    rssBytes,
    heapBytes,
    cpuMs,
    directConnections,
    primaries: served.length,
    copies: hosted.length,
    bytes: hosted.reduce((bytes, { stateBytes, logBytes }) => bytes + stateBytes + logBytes, 0),
    ...rates(served),
  }
}

function rates(
  served: readonly ShardStats[],
): Pick<ChildStats, 'readsPerSecond' | 'writesPerSecond'> {
  if (served.every(({ readsPerSecond }) => readsPerSecond === undefined)) return {}
  return {
    readsPerSecond: served.reduce((sum, shard) => sum + (shard.readsPerSecond ?? 0), 0),
    writesPerSecond: served.reduce((sum, shard) => sum + (shard.writesPerSecond ?? 0), 0),
  }
}
