/** What was measured, as tables: latencies of calls, and what every child and shard holds. */
import type { NodeStats, NodeTopology, ShardStats } from '@kv/node'
import { pad, table } from './columns.js'
import { megabytes, milliseconds, whole } from './figures.js'
import type { Latencies } from './meter.js'
import type { Verification } from './verify.js'

const MISMATCHES_SHOWN = 5
const CELL_GAP = '    '

export interface MeasuredCalls {
  /** `get, 64 in flight` */
  readonly name: string
  readonly latencies: Latencies
}

/** The first line is the heading. */
export function latencyTable(measured: readonly MeasuredCalls[]): string[] {
  const rows = measured.map(({ name, latencies: { callsPerSecond, p50Ms, p99Ms, maxMs } }) => [
    name,
    whole(callsPerSecond),
    milliseconds(p50Ms),
    milliseconds(p99Ms),
    milliseconds(maxMs),
  ])
  return table(
    [['', 'calls/s', 'p50', 'p99', 'max'], ...rows],
    ['left', 'right', 'right', 'right', 'right'],
  )
}

/** The first line is the heading. */
export function childTable({ children, shards }: NodeTopology, stats: NodeStats): string[] {
  const rows = children.map(({ id, pid }) => {
    const own = new Set(shards.filter(({ primary }) => primary === id).map((shard) => shard.id))
    const held = stats.shards.filter((shard) => own.has(shard.id))
    const process = stats.children.find((child) => child.id === id)
    return [
      `${id}`,
      `${pid}`,
      `${own.size}`,
      whole(sum(held, keysOf)),
      megabytes(sum(held, bytesOf)),
      process === undefined ? '–' : megabytes(process.rssBytes),
    ]
  })
  return table(
    [['child', 'pid', 'shards', 'keys', 'on disk', 'memory'], ...rows],
    ['right', 'right', 'right', 'right', 'right', 'right'],
  )
}

/** Every shard with its child, keys and bytes, side by side as far as the columns go. */
export function shardGrid({ shards }: NodeTopology, stats: NodeStats, columns: number): string[] {
  const primaries = new Map(shards.map(({ id, primary }) => [id, primary]))
  const rows = stats.shards.map((shard) => [
    `${shard.id}`,
    `${primaries.get(shard.id) ?? '–'}`,
    whole(keysOf(shard)),
    megabytes(bytesOf(shard)),
  ])
  const [heading = '', ...cells] = table(
    [['shard', 'child', 'keys', 'on disk'], ...rows],
    ['right', 'right', 'right', 'right'],
  )
  const wanted = Math.floor((columns + CELL_GAP.length) / (heading.length + CELL_GAP.length))
  const across = Math.min(Math.max(1, wanted), 2)
  const height = Math.ceil(cells.length / across)
  const lines = Array.from({ length: height }, (_, line) =>
    cells
      .filter((_cell, index) => index % height === line)
      .map((cell) => pad(cell, heading.length))
      .join(CELL_GAP)
      .trimEnd(),
  )
  return [Array.from({ length: across }, () => heading).join(CELL_GAP), ...lines]
}

/** The first mismatches, and how many more there are. */
export function mismatchLines({ mismatches }: Verification): string[] {
  const lines = mismatches
    .slice(0, MISMATCHES_SHOWN)
    .map(({ key, problem }) => `${problem}: ${key}`)
  const more = mismatches.length - lines.length
  return more > 0 ? [...lines, `and ${whole(more)} more`] : lines
}

function keysOf(shard: ShardStats): number {
  return shard.keys ?? 0
}

/** Log and state together. */
function bytesOf(shard: ShardStats): number {
  return (shard.stateBytes ?? 0) + (shard.logBytes ?? 0)
}

function sum<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((total, item) => total + amount(item), 0)
}
