import { describe, expect, test, vi } from 'vitest'
import type { ChildReport, ShardReport } from '../link/control.js'
import { firstTopology } from './node-state.js'
import { Statistics } from './statistics.js'
import { openShard } from './testing/shards.js'

const SHARD: ShardReport = {
  shard: 0,
  epoch: 3,
  revision: 10,
  appliedRevision: 8,
  keys: 7,
  stateBytes: 1,
  logBytes: 1,
  overlayBytes: 1,
  reads: 100,
  writes: 10,
}

function reportOf(shard: ShardReport): ChildReport {
  return { rssBytes: 1, heapBytes: 1, cpuMs: 1, directConnections: 0, shards: [shard], copies: [] }
}

const OPEN = openShard(0, 1, 3)
const STATE = {
  minInSync: 1,
  shards: [OPEN],
  children: [],
  published: firstTopology(1, [OPEN]),
}

describe('statistics', () => {
  test('all children answer, in any order → their reports, by child', async () => {
    const statistics = new Statistics(() => [1, 2])
    const collecting = statistics.collect()
    statistics.onReport(2, 1, reportOf(SHARD))
    statistics.onReport(1, 1, reportOf(SHARD))
    expect([...(await collecting).keys()]).toEqual([1, 2])
  })

  test('a child ends, another is silent → those that answered', async () => {
    vi.useFakeTimers()
    const statistics = new Statistics(() => [1, 2, 3])
    const collecting = statistics.collect()
    statistics.onChildExit(1)
    statistics.onReport(2, 1, reportOf(SHARD))
    await vi.runAllTimersAsync()
    vi.useRealTimers()
    expect([...(await collecting).keys()]).toEqual([2])
  })

  test('P7: many ask at once → the children are asked twice, not once for each', async () => {
    const asked: number[] = []
    const statistics = new Statistics((nonce) => {
      asked.push(nonce)
      return [1]
    })
    const collecting = Array.from({ length: 1_000 }, () => statistics.collect())
    expect(asked).toEqual([1])
    statistics.onReport(1, 1, reportOf(SHARD))
    await collecting[0]
    await vi.waitFor(() => expect(asked).toEqual([1, 2]))
    statistics.onReport(1, 2, reportOf({ ...SHARD, keys: 8 }))
    const last = (await collecting[999])?.get(1)
    expect(last?.shards[0]?.keys).toBe(8)
  })

  test('nobody to ask → empty, at once', async () => {
    expect(await new Statistics(() => []).collect()).toEqual(new Map())
  })

  test('asked twice → rates of what happened between', () => {
    const statistics = new Statistics(() => [])
    const first = statistics.shards(STATE, new Map([[1, reportOf(SHARD)]]), 1_000)
    expect(first[0]).toMatchObject({ id: 0, epoch: 3, state: 'open', keys: 7 })
    expect(first[0]).not.toHaveProperty('readsPerSecond')
    const later = reportOf({ ...SHARD, reads: 300, writes: 40 })
    expect(statistics.shards(STATE, new Map([[1, later]]), 3_000)[0]).toMatchObject({
      readsPerSecond: 100,
      writesPerSecond: 15,
    })
  })

  test('a child that hosts a backup → told with its shard', () => {
    const copy = { shard: 0, copy: 1, epoch: 3, revision: 10, committedRevision: 9 }
    const figures = { appliedRevision: 8, stateBytes: 1, logBytes: 1, overlayBytes: 1, reads: 4 }
    const backup = { ...reportOf(SHARD), shards: [], copies: [{ ...copy, ...figures }] }
    const reports = new Map([
      [1, reportOf(SHARD)],
      [2, backup],
    ])
    const [shard] = new Statistics(() => []).shards(STATE, reports, 1_000)
    expect(shard).toMatchObject({ keys: 7, backups: [{ child: 2, copy: 1, reads: 4 }] })
  })

  test('the shard was opened anew, or has no report → no rates, no stale figures', () => {
    const statistics = new Statistics(() => [])
    statistics.shards(STATE, new Map([[1, reportOf({ ...SHARD, epoch: 2 })]]), 1_000)
    const old = statistics.shards(STATE, new Map([[1, reportOf({ ...SHARD, epoch: 2 })]]), 2_000)
    expect(old).toEqual([{ id: 0, epoch: 3, primary: 0, state: 'open' }])
    const reopened = statistics.shards(STATE, new Map([[1, reportOf(SHARD)]]), 3_000)
    expect(reopened[0]).not.toHaveProperty('readsPerSecond')
  })
})
