import { describe, expect, test } from 'vitest'
import type { Shard } from '../shard/shard.js'
import { SnapshotTurns } from './snapshot-turns.js'

describe('snapshots of a child', () => {
  test('several are due → one at a time, the one that has been due the longest first', async () => {
    const taken: string[] = []
    let end: (() => void) | undefined
    const dueSinceMs: Record<string, number | undefined> = { none: undefined, late: 20, first: 10 }
    const primaries = Object.keys(dueSinceMs).map((name) => {
      const snapshots = {
        get dueSinceMs() {
          return dueSinceMs[name]
        },
        take: () => {
          taken.push(name)
          dueSinceMs[name] = undefined
          return new Promise<void>((resolve) => {
            end = resolve
          })
        },
      }
      return { shard: { snapshots } as unknown as Pick<Shard, 'snapshots'> }
    })
    const turns = new SnapshotTurns()
    turns.onTick(primaries)
    turns.onTick(primaries)
    expect(taken).toEqual(['first'])
    end?.()
    await new Promise((resolve) => setImmediate(resolve))
    turns.onTick(primaries)
    expect(taken).toEqual(['first', 'late'])
  })
})
