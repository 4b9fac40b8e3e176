import { isDeepStrictEqual } from 'node:util'
import { readNumberValue } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { visibleAt } from './held.js'
import type { LogFrame } from './log/frame.js'
import { randomFrom } from './log/testing/seeded-random.js'
import { closeReplica, openReplica } from './replica.js'
import { inDirectory } from './testing/directory.js'
import { ReplicaGroup } from './testing/replica-group.js'
import { COPIES, COUNTED_KEYS, ReplicaSchedule } from './testing/replica-schedule.js'
import { framesIn } from './testing/scripted-primary.js'

/** `KV_SEEDS=500` for a long run. */
const SEEDS = Number(process.env['KV_SEEDS'] ?? 4)
const STEPS = 60
/** What a copy holds, by its overlay and state. */
async function countsIn(directory: string): Promise<(number | undefined)[]> {
  const options = { directory, clusterId: 'cluster-1', shard: 5, create: false }
  const replica = await openReplica(options)
  const counts = COUNTED_KEYS.map((key) => {
    const held = visibleAt(replica.overlay.get(key) ?? replica.state.get(key), 0)
    return held && readNumberValue(held.memory.bytes, held.start, held.end)
  })
  await closeReplica(replica)
  return counts
}

/** The frames that all logs have, and whether everything else is equal, too. */
async function compareCopies(group: ReplicaGroup, counts: readonly (number | undefined)[]) {
  const logs: LogFrame[][] = []
  const held: unknown[] = []
  for (let copy = 0; copy < COPIES; copy += 1) {
    logs.push(await framesIn(group.directoryOf(copy)))
    held.push(await countsIn(group.directoryOf(copy)))
  }
  // What a copy has applied is not read again: the others begin earlier, or later.
  const from = Math.max(...logs.map((log) => log[0]?.firstRevision ?? Infinity))
  const ends = logs.map((log) => log.filter((frame) => frame.firstRevision >= from))
  const areEqual =
    held.every((each) => isDeepStrictEqual(each, counts)) &&
    ends.every((end) => isDeepStrictEqual(end, ends[0]))
  return { areEqual, frames: ends[0]?.length ?? 0 }
}

describe('three copies under random schedules', () => {
  test('P1, P2, P3, P4: kills, cut lines, promotions → nothing acknowledged is lost, all copies equal', async () => {
    const seen = { kills: 0, promotions: 0, frames: 0 }
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      await inDirectory(async (directory) => {
        const group = await ReplicaGroup.start({
          directory,
          copies: COPIES,
          reconnects: true,
          withJournals: seed % 2 === 0,
          fsync: seed % 4 === 0 ? 'everysec' : 'always',
        })
        const schedule = new ReplicaSchedule(group, randomFrom(seed))
        try {
          for (let step = 0; step < STEPS; step += 1) await schedule.step()
          await schedule.settle()
          await group.close()
          const { areEqual, frames } = await compareCopies(group, schedule.counts())
          if (!areEqual) throw new Error('P2: the copies differ')
          seen.frames += frames
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
        } finally {
          await group.close()
        }
        seen.kills += schedule.kills
        seen.promotions += schedule.promotions
      })
    }
    expect(seen.kills).toBeGreaterThan(2 * SEEDS)
    expect(seen.promotions).toBeGreaterThan(SEEDS / 2)
    expect(seen.frames).toBeGreaterThan(0)
  }, 600_000)
})
