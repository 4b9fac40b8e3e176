/** A state that is damaged is built anew from the shard's own snapshot and its log: P1, P2, P4, P8. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { randomFrom } from './log/testing/seeded-random.js'
import { isDamage } from './replica.js'
import { snapshotFiles } from './snapshot/snapshot-directory.js'
import { LiveCopy } from './snapshot/testing/live-copy.js'
import type { RebuiltState } from './state-rebuild.js'
import { noteStateDamage } from './state-rebuild.js'
import { StateDamage } from './state/stored-entry.js'
import { incrementCall, readValueAnswer, setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const EVERY_MS = 60_000
const IDENTITY = { clusterId: 'cluster-1', shard: 5 }
const COUNT = { clientId: 900, sequence: 1, isResend: false }

interface Opened {
  readonly under: ShardUnderTest
  readonly rebuilt: RebuiltState[]
}

async function open(directory: string, epoch: number): Promise<Opened> {
  const rebuilt: RebuiltState[] = []
  const snapshots = {
    everyMs: EVERY_MS,
    onError: (error: Error) => {
      throw error
    },
  }
  const under = await ShardUnderTest.open({
    directory,
    epoch,
    create: epoch === 1,
    shardOptions: { snapshots, onRebuilt: (one) => rebuilt.push(one) },
  })
  return { under, rebuilt }
}

/** A shard that was written to, took a snapshot, was written to again, and is closed. */
async function filled(directory: string): Promise<void> {
  const { under } = await open(directory, 1)
  await under.write(setCall('before', 'old'))
  await under.write(setCall('kept', 'kept'))
  await under.attempt(incrementCall('counter', 1), COUNT)
  await under.shard.apply()
  await under.shard.snapshots!.take()
  await under.write(setCall('before', 'new'))
  await under.write({ type: 'touch', key: 'kept', ttlMs: 1_000_000 })
  await under.write(setCall('after', 'after'))
  await under.shard.apply()
  await under.shard.close()
}

async function contentsOf(directory: string): Promise<unknown> {
  const copy = await LiveCopy.open({ ...IDENTITY, directory, create: false })
  copy.commit()
  await copy.apply()
  const contents = { ...copy.contents(), indexed: copy.indexed() }
  await copy.close()
  return contents
}

const dataFile = (directory: string): string => join(directory, 'state', 'data.mdb')

async function flip(path: string, at: (bytes: Buffer) => number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at(bytes)]! ^= 0x10
  await writeFile(path, bytes)
}

async function errorOf(action: Promise<unknown>): Promise<Error> {
  return action.then(
    () => new Error('it has succeeded'),
    (error: unknown) => error as Error,
  )
}

describe('a damaged state with a sound snapshot and log', () => {
  const damages: [string, (directory: string) => Promise<void>][] = [
    ['not readable', (directory) => writeFile(dataFile(directory), 'damaged')],
    ['without its file', (directory) => rm(dataFile(directory))],
    ['gone', (directory) => rm(join(directory, 'state'), { recursive: true })],
    [
      'found damaged while it was served',
      async (directory) => {
        expect(await noteStateDamage(directory, new StateDamage('seen'))).toBe(true)
      },
    ],
  ]

  test.each(damages)('%s → as it was before, and what was damaged is kept', (name, damage) =>
    inDirectory(async (directory) => {
      await filled(directory)
      const before = await contentsOf(directory)
      await damage(directory)
      const { under, rebuilt } = await open(directory, 2)
      expect(rebuilt).toHaveLength(1)
      expect(rebuilt[0]).toMatchObject({ startRevision: 4, lastRevision: 7 })
      expect(readValueAnswer(under.read({ type: 'get', key: 'before' }))).toBe('new')
      // A write that is sent again is not done again.
      const again = await under.attempt(incrementCall('counter', 1), { ...COUNT, isResend: true })
      expect(under.counter('counter')).toBe(1)
      expect(again).toBeInstanceOf(Uint8Array)
      await under.shard.close()
      expect(await contentsOf(directory)).toEqual(before)
      const aside = name === 'gone' ? [] : ['state.damaged-1']
      const names = (await readdir(directory)).toSorted()
      expect(names).toEqual(['log', 'snapshots', 'state', ...aside].toSorted())
      const third = await open(directory, 3)
      expect(third.rebuilt).toEqual([])
      await third.under.shard.close()
    }),
  )

  test('any writes, a snapshot amid them → equal to what was there', async () => {
    const property = fc.asyncProperty(fc.nat(), async (seed) => {
      await inDirectory(async (directory) => {
        const random = randomFrom(seed)
        const { under } = await open(directory, 1)
        let taking: Promise<void> | undefined
        for (let call = 0; call < 120; call += 1) {
          const key = `key-${Math.floor(random() * 20)}`
          const kind = random()
          if (kind < 0.6) await under.write(setCall(key, `${kind}`.repeat(kind < 0.2 ? 3_000 : 1)))
          else if (kind < 0.75) await under.write({ type: 'delete', key })
          else if (kind < 0.9) await under.write({ type: 'touch', key, ttlMs: 1_000_000 })
          else await under.write(incrementCall(`counter-${key}`, 1))
          if (random() < 0.1) await under.shard.apply()
          if (random() < 0.1) under.shard.onTick()
          if (call === 40) taking = under.shard.snapshots!.take()
        }
        await taking
        await under.shard.close()
        const before = await contentsOf(directory)
        await writeFile(dataFile(directory), 'damaged')
        const again = await open(directory, 2)
        expect(again.rebuilt).toHaveLength(1)
        await again.under.shard.close()
        expect(await contentsOf(directory)).toEqual(before)
      })
    })
    await fc.assert(property, { numRuns: 8 })
  }, 60_000)
})

describe('P8: not built anew', () => {
  const cases: [string, (directory: string) => Promise<void>, RegExp][] = [
    [
      'a byte of the snapshot is flipped',
      async (directory) => {
        const [snapshot = ''] = await snapshotFiles(directory)
        await flip(snapshot, (bytes) => bytes.indexOf('kept'))
      },
      /does not begin like a stored state; it can't be built anew from .*a page fails its checksum/,
    ],
    [
      'a frame of the log is damaged',
      async (directory) => {
        const log = join(directory, 'log')
        const [segment = ''] = (await readdir(log)).filter((name) => name.endsWith('.log'))
        await flip(join(log, segment), (bytes) => bytes.indexOf('after'))
      },
      /can't be built anew from .*Log damage/,
    ],
    [
      'there is no snapshot',
      (directory) => rm(join(directory, 'snapshots'), { recursive: true }),
      /does not begin like a stored state$/,
    ],
  ]

  test.each(cases)('%s → damaged, and everything is left as it is', (_name, spoil, message) =>
    inDirectory(async (directory) => {
      await filled(directory)
      await writeFile(dataFile(directory), 'damaged')
      await spoil(directory)
      const error = await errorOf(open(directory, 2))
      expect(error.message).toMatch(message)
      expect(isDamage(error)).toBe(true)
      expect(await readFile(dataFile(directory), 'utf8')).toBe('damaged')
      expect(await readdir(directory)).not.toContain('state-building')
    }),
  )

  test('the log is gone → damaged: a snapshot alone would be older than what was acknowledged', () =>
    inDirectory(async (directory) => {
      await filled(directory)
      await rm(join(directory, 'log'), { recursive: true })
      const error = await errorOf(open(directory, 2))
      expect(error.message).toMatch(/holds no log/)
      expect(isDamage(error)).toBe(true)
    }))

  test('the snapshot is of another shard → damaged', () =>
    inDirectory(async (directory) => {
      await filled(directory)
      const [snapshot = ''] = await snapshotFiles(directory)
      const other = join(directory, 'other')
      const under = await ShardUnderTest.open({
        directory: other,
        create: true,
        shard: 6,
        shardOptions: { snapshots: { everyMs: EVERY_MS, onError: () => undefined } },
      })
      await under.shard.snapshots!.take()
      await under.shard.close()
      const [foreign = ''] = await snapshotFiles(other)
      await writeFile(snapshot, await readFile(foreign))
      await writeFile(dataFile(directory), 'damaged')
      const { message } = await errorOf(open(directory, 2))
      expect(message).toMatch(/it is of shard 6 of cluster cluster-1, not of shard 5/)
    }))
})

describe('snapshots of a shard', () => {
  test('→ due soon after the opening, then when time is over and something was written', () =>
    inDirectory(async (directory) => {
      const { under } = await open(directory, 1)
      const snapshots = under.shard.snapshots!
      expect(snapshots.dueSinceMs).toBeUndefined()
      under.clock.nowMs += 10_000
      expect(snapshots.dueSinceMs).toBe(under.clock.nowMs)
      await snapshots.take()
      under.clock.nowMs += EVERY_MS
      expect(snapshots.dueSinceMs).toBeUndefined()
      await under.write(setCall('a', 'x'))
      expect(snapshots.dueSinceMs).toBe(under.clock.nowMs)
      await under.shard.close()
      const again = await ShardUnderTest.open({ directory, epoch: 2 })
      // Nobody keeps the log for it any more.
      expect(await snapshotFiles(directory)).toEqual([])
      await again.shard.close()
    }))

  test('P7: the log after one is too long → the next is due at half, it is given up at the limit', () =>
    inDirectory(async (directory) => {
      const { under } = await open(directory, 1)
      const snapshots = under.shard.snapshots!
      under.clock.nowMs += 10_000
      await snapshots.take()
      await under.write(setCall('a', 'x'))
      const { neededRevision } = snapshots
      snapshots.onFrame(33 * 1_048_576)
      expect(snapshots.dueSinceMs).toBe(under.clock.nowMs)
      snapshots.onTick()
      expect(snapshots.neededRevision).toBe(neededRevision)
      snapshots.onFrame(33 * 1_048_576)
      snapshots.onTick()
      expect(snapshots.neededRevision).toBe(Infinity)
      await under.shard.close()
      expect(await snapshotFiles(directory)).toEqual([])
    }))

  test('closed while one is taken → nothing of it is left', () =>
    inDirectory(async (directory) => {
      const { under } = await open(directory, 1)
      for (let key = 0; key < 20; key += 1) {
        await under.write(setCall(`key-${key}`, 'v'.repeat(100_000)))
      }
      const taking = under.shard.snapshots!.take()
      await under.shard.close()
      await taking
      expect(await snapshotFiles(directory)).toEqual([])
    }))
})
