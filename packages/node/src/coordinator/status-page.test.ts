import { describe, expect, test } from 'vitest'
import type { NodeStats } from './statistics.js'
import { progressLine, statusPage } from './status-page.js'

const PROCESS = { pid: 10, rssBytes: 50 * 1_048_576, heapBytes: 1, cpuMs: 1 }

const STATS: NodeStats = {
  coordinator: { ...PROCESS, connections: 2, batchesInFlight: 0, fsync: 'always' },
  scaling: { children: 1, shardsToMove: 1, isSettled: false },
  children: [
    {
      ...PROCESS,
      id: 1,
      state: 'ready',
      isLeaving: false,
      directConnections: 0,
      primaries: 1,
      copies: 2,
      bytes: 1_048_576,
    },
    {
      ...PROCESS,
      id: 2,
      pid: 11,
      state: 'ready',
      isLeaving: true,
      directConnections: 12,
      primaries: 1,
      copies: 1,
      bytes: 300 * 1_048_576,
      readsPerSecond: 12.4,
      writesPerSecond: 3,
    },
  ],
  shards: [
    { id: 0, epoch: 3, primary: 1, state: 'open', keys: 7, stateBytes: 1_048_576, logBytes: 0 },
    {
      id: 1,
      epoch: 2,
      primary: 2,
      state: 'open',
      movesTo: 1,
      keys: 9,
      stateBytes: 1,
      logBytes: 2_097_152,
      readsPerSecond: 12.4,
      writesPerSecond: 3,
      writeP50Ms: 0.44,
      writeP99Ms: 12.06,
    },
    { id: 2, epoch: 1, primary: 0, state: 'opening' },
  ],
}

describe('status page', () => {
  test('a node that acknowledges before it has synced → says so', () => {
    const coordinator = { ...STATS.coordinator, fsync: 'everysec' as const }
    const [line] = statusPage({ ...STATS, coordinator }).split('\n')
    expect(line).toBe('coordinator 10, 2 connections, fsync everysec')
  })

  test('children and shards, a line each; what is not known is a dash', () => {
    expect(statusPage(STATS).split('\n')).toEqual([
      'coordinator 10, 2 connections',
      'on the way to 1 child: 1 shard to move, 1 to leave',
      '',
      'child  pid  state           primaries  copies  direct  reads/s  writes/s    bytes       rss',
      '    1   10  ready                   1       2       0        -         -  1.0 MiB  50.0 MiB',
      '    2   11  ready, leaving          1       1      12       12         3  300 MiB  50.0 MiB',
      '',
      'shard  child  state             reads/s  writes/s  p50 ms  p99 ms  keys    bytes',
      '    0      1  open                    -         -       -       -     7  1.0 MiB',
      '    1      2  open, moves to 1       12         3     0.4    12.1     9  2.0 MiB',
      '    2      -  opening                 -         -       -       -     -        -',
      '',
    ])
  })

  test('nothing to move → says so', () => {
    const scaling = { children: 5, shardsToMove: 0, isSettled: true }
    expect(progressLine({ ...STATS, scaling })).toBe('5 children, nothing to move')
  })
})
