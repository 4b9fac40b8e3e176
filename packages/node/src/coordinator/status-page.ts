/**
 * What a node has and does, as a page for people.
 */
import type { ChildStats, NodeStats, ShardStats } from './statistics.js'

export function statusPage(stats: NodeStats): string {
  return [
    coordinatorLine(stats),
    progressLine(stats),
    '',
    ...table(
      [
        'child',
        'pid',
        'state',
        'primaries',
        'copies',
        'direct',
        'reads/s',
        'writes/s',
        'bytes',
        'rss',
      ],
      stats.children.map(childRow),
    ),
    '',
    ...table(
      ['shard', 'child', 'state', 'reads/s', 'writes/s', 'p50 ms', 'p99 ms', 'keys', 'bytes'],
      stats.shards.map(shardRow),
    ),
    '',
  ].join('\n')
}

function coordinatorLine({ coordinator: { pid, connections, fsync } }: NodeStats): string {
  const line = `coordinator ${pid}, ${connections} connections`
  return fsync === 'always' ? line : `${line}, fsync ${fsync}`
}

/** How far the node is from what it is to be. */
export function progressLine({ scaling, children }: NodeStats): string {
  const { children: wanted, shardsToMove, isSettled } = scaling
  const target = wanted === 1 ? '1 child' : `${wanted} children`
  if (isSettled) return `${target}, nothing to move`
  const leaving = children.filter(({ isLeaving }) => isLeaving).length
  const shards = shardsToMove === 1 ? '1 shard' : `${shardsToMove} shards`
  return `on the way to ${target}: ${shards} to move, ${leaving} to leave`
}

function childRow(child: ChildStats): string[] {
  const { id, pid, state, isLeaving, primaries, copies, directConnections } = child
  return [
    String(id),
    String(pid),
    isLeaving ? `${state}, leaving` : state,
    String(primaries),
    String(copies),
    String(directConnections),
    rate(child.readsPerSecond),
    rate(child.writesPerSecond),
    size(child.bytes),
    size(child.rssBytes),
  ]
}

function shardRow(shard: ShardStats): string[] {
  const { id, primary, state, movesTo, stateBytes, logBytes } = shard
  const bytes = stateBytes === undefined ? undefined : stateBytes + (logBytes ?? 0)
  return [
    String(id),
    primary === 0 ? '-' : String(primary),
    movesTo === undefined ? state : `${state}, moves to ${movesTo}`,
    rate(shard.readsPerSecond),
    rate(shard.writesPerSecond),
    shard.writeP50Ms?.toFixed(1) ?? '-',
    shard.writeP99Ms?.toFixed(1) ?? '-',
    shard.keys === undefined ? '-' : String(shard.keys),
    bytes === undefined ? '-' : size(bytes),
  ]
}

function rate(perSecond: number | undefined): string {
  return perSecond === undefined ? '-' : String(Math.round(perSecond))
}

function size(bytes: number): string {
  const mebibytes = bytes / 1_048_576
  return `${mebibytes >= 100 ? Math.round(mebibytes) : mebibytes.toFixed(1)} MiB`
}

/** Numbers to the right, words to the left. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]!.length)),
  )
  return [heads, ...rows].map((row) =>
    row
      .map((cell, column) =>
        heads[column] === 'state' ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  )
}
