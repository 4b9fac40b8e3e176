import { describe, expect, test } from 'vitest'
import type { Log } from '../log/log.js'
import { FOLLOWERS_LOG_BYTES_MAX, LogKeeper } from './log-keeper.js'

function keeperOf(bytesOnDisk: number): { keeper: LogKeeper; dropped: number[] } {
  const dropped: number[] = []
  const log = {
    firstRevision: 1,
    lastRevision: 100,
    bytesOnDisk,
    dropBefore: (revision: number) => {
      dropped.push(revision)
      return Promise.resolve()
    },
  }
  const keeper = new LogKeeper(log as unknown as Log, { now: () => 0 })
  return { keeper, dropped }
}

describe('log keeper: copies that follow', () => {
  test('one that is behind → the log is kept for it, and goes when it has caught up', async () => {
    const { keeper, dropped } = keeperOf(1_000)
    await keeper.drop(90, false, 40)
    await keeper.drop(90, false, 101)
    expect(dropped).toEqual([40, 91])
  })

  test('P7: one that is too far behind, or a full disk → not kept for anybody', async () => {
    for (const [bytes, isShort] of [
      [FOLLOWERS_LOG_BYTES_MAX + 1, false],
      [1_000, true],
    ] as const) {
      const { keeper, dropped } = keeperOf(bytes)
      await keeper.drop(90, isShort, 40)
      expect(dropped).toEqual([91])
    }
  })
})

describe('log keeper: a snapshot', () => {
  test('the log is kept since its start, however long; not on a full disk', async () => {
    const { keeper, dropped } = keeperOf(FOLLOWERS_LOG_BYTES_MAX + 1)
    await keeper.drop(90, false, Infinity, 40)
    await keeper.drop(90, true, Infinity, 40)
    expect(dropped).toEqual([40, 91])
  })
})
