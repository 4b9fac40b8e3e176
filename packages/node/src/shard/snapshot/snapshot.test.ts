import { access, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { WriteCall } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lastRevisionOf, type LogFrame } from '../log/frame.js'
import { randomFrom } from '../log/testing/seeded-random.js'
import { isDamage, type ReplicaOptions } from '../replica.js'
import { incrementCall, setCall } from '../testing/calls.js'
import { inDirectory } from '../testing/directory.js'
import { framesIn } from '../testing/scripted-primary.js'
import { ShardUnderTest } from '../testing/shard-under-test.js'
import type { SnapshotPart } from './parts.js'
import { replaceWithBuilt, SnapshotBuild } from './snapshot-build.js'
import { LiveCopy, partsOf } from './testing/live-copy.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 5 }
const KEYS = 40
/** A page holds about five of them. */
const VALUE_BYTES = 60_000

function optionsIn(directory: string, name: string): ReplicaOptions {
  return { ...IDENTITY, directory: join(directory, name), create: false }
}

/** Any call on a few keys: long and short values, entries that end, counters, locks, removals. */
function anyCall(random: () => number): WriteCall {
  const key = `key-${Math.floor(random() * KEYS)}`
  const kind = random()
  if (kind < 0.5) {
    const text = `${random()}`.padEnd(random() < 0.7 ? VALUE_BYTES : 1, '.')
    const ends = random() < 0.3
    return setCall(key, text, ends ? { expiry: { kind: 'ttl', ms: 5 + random() * 1e6 } } : {})
  }
  if (kind < 0.65) return { type: 'delete', key }
  if (kind < 0.8) return { type: 'touch', key, ttlMs: 1_000_000 }
  if (kind < 0.9) return incrementCall(`counter-${key}`, 1)
  const owner = Buffer.from(`${Math.floor(random() * 3)}`)
  return { type: 'lock', key: 'lock', owner, ttlMs: 1_000, ticket: 0, waitMs: 3_000 }
}

/** The log of a shard that clients wrote to, with their numbers and low-water marks. */
async function write(directory: string, calls: number, seed: number): Promise<LogFrame[]> {
  const random = randomFrom(seed)
  const under = await ShardUnderTest.open({ directory: join(directory, 'primary'), create: true })
  const sequences = [0, 0, 0]
  for (let call = 0; call < calls; call += 1) {
    const client = Math.floor(random() * sequences.length)
    const sequence = (sequences[client]! += 1)
    const attempt = { clientId: 100 + client, sequence, isResend: false }
    await under.attempt(anyCall(random), { ...attempt, lowWater: Math.max(0, sequence - 4) })
    under.clock.nowMs += 1
  }
  await under.shard.close()
  return framesIn(join(directory, 'primary'))
}

async function build(directory: string, parts: readonly SnapshotPart[]): Promise<void> {
  const options = { ...IDENTITY, directory: join(directory, 'copy') }
  let building: SnapshotBuild | undefined
  try {
    for (const part of parts) {
      if (part.type === 'snapshotBegin') building = await SnapshotBuild.begin(options, part.begin)
      else if (part.type === 'snapshotPage') await building!.takePage(part.page)
      else await building!.end(part.end)
    }
  } catch (error) {
    await building?.abandon()
    throw error
  }
}

/** A copy of another log, which a snapshot is to replace. */
async function oldCopy(directory: string): Promise<void> {
  const under = await ShardUnderTest.open({ directory: join(directory, 'copy'), create: true })
  await under.write(setCall('of the old copy', 'old'))
  await under.shard.close()
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

describe('a snapshot', () => {
  test('P1, P2, P4: read while writes go on, with the log after it → an equal copy', async () => {
    const property = fc.asyncProperty(fc.nat(), fc.nat(40), async (seed, first) => {
      await inDirectory(async (directory) => {
        const random = randomFrom(seed)
        const frames = await write(directory, 80, seed)
        const primary = await LiveCopy.open(optionsIn(directory, 'primary'))
        primary.commit(first + 1)
        if (random() < 0.5) await primary.apply()
        const parts = await partsOf(primary.snapshot(), async () => {
          primary.commit(Math.floor(random() * 15))
          if (random() < 0.3) await primary.apply()
        })
        primary.commit()
        const start = parts[0]?.type === 'snapshotBegin' ? parts[0].begin.start.revision : NaN
        await oldCopy(directory)
        await build(directory, parts)
        await replaceWithBuilt(join(directory, 'copy'))
        const options = { ...optionsIn(directory, 'copy'), isCatchingUp: true }
        const copy = await LiveCopy.open(options)
        expect(copy.replica.log.last.revision).toBe(start)
        expect(copy.replica.state.marks.appliedRevision).toBe(start)
        for (const frame of frames) if (lastRevisionOf(frame) > start) copy.take(frame)
        expect(copy.contents()).toEqual(primary.contents())
        await Promise.all([copy.apply(), primary.apply()])
        expect(copy.contents()).toEqual(primary.contents())
        expect(copy.indexed()).toEqual(primary.indexed())
        await Promise.all([copy.close(), primary.close()])
      })
    })
    await fc.assert(property, { numRuns: 6 })
  }, 60_000)

  test('pages → bounded, several, with the keys of the system and what has ended', () =>
    inDirectory(async (directory) => {
      const under = await ShardUnderTest.open({
        directory: join(directory, 'primary'),
        create: true,
      })
      await under.write(setCall('ended', 'x', { expiry: { kind: 'ttl', ms: 1 } }))
      for (let key = 0; key < 50; key += 1) {
        await under.write(setCall(`key-${key}`, 'v'.repeat(20_000)))
      }
      for (const owner of ['a', 'b']) {
        const lock = { key: 'lock', owner: Buffer.from(owner), ttlMs: 1_000, ticket: 0 }
        await under.write({ type: 'lock', ...lock, waitMs: 3_000 })
      }
      await under.shard.close()
      const primary = await LiveCopy.open(optionsIn(directory, 'primary'))
      primary.commit()
      const parts = await partsOf(primary.snapshot())
      const pages = parts.filter((part) => part.type === 'snapshotPage')
      expect(pages.length).toBeGreaterThan(3)
      for (const { page } of pages) expect(page.length).toBeLessThan(300_000)
      await build(directory, parts)
      await rename(join(directory, 'copy.building'), join(directory, 'copy'))
      const copy = await LiveCopy.open(optionsIn(directory, 'copy'))
      expect(copy.contents()).toEqual(primary.contents())
      // 51 entries of users, the lock, and two of its queue.
      expect(copy.contents().entries).toHaveLength(54)
      await Promise.all([copy.close(), primary.close()])
    }))

  test('P8: a page that is damaged, lost, doubled or out of order → refused', () =>
    inDirectory(async (directory) => {
      await write(directory, 120, 7)
      const primary = await LiveCopy.open(optionsIn(directory, 'primary'))
      primary.commit()
      const parts = await partsOf(primary.snapshot())
      await primary.close()
      expect(parts.length).toBeGreaterThan(5)
      const damaged = parts.map((part) => {
        if (part.type !== 'snapshotPage' || part !== parts[3]) return part
        const page = Buffer.from(part.page)
        page[page.length - 5]! ^= 1
        return { ...part, page }
      })
      const swapped = [...parts]
      swapped.splice(2, 2, parts[3]!, parts[2]!)
      const bad = {
        damaged,
        swapped,
        lost: parts.filter((part) => part !== parts[3]),
        doubled: parts.flatMap((part) => (part === parts[3] ? [part, part] : [part])),
        short: parts.filter((part) => part !== parts.at(-2)),
      }
      for (const some of Object.values(bad)) {
        await expect(build(directory, some)).rejects.toThrow('the snapshot is damaged')
      }
      expect(await exists(join(directory, 'copy.building'))).toBe(false)
    }))
})

describe('an end in the middle of a rebuild', () => {
  async function withParts(
    use: (directory: string, parts: readonly SnapshotPart[]) => Promise<void>,
  ): Promise<void> {
    await inDirectory(async (directory) => {
      await write(directory, 60, 3)
      const primary = await LiveCopy.open(optionsIn(directory, 'primary'))
      primary.commit(20)
      const parts = await partsOf(primary.snapshot(), () => void primary.commit(10))
      await primary.close()
      await oldCopy(directory)
      await use(directory, parts)
    })
  }

  /** The keys of the copy once it has been opened, when nothing of the attempt may be left. */
  async function keysOpened(directory: string): Promise<unknown[]> {
    const copy = await LiveCopy.open(optionsIn(directory, 'copy'))
    copy.commit()
    const { entries } = copy.contents()
    await copy.close()
    const names = await readdir(directory)
    const left = names.filter((name) => name.startsWith('copy.'))
    return [...left, ...entries.map((entry) => (entry as { key: string }).key)]
  }

  test('while it is built → the old copy is there, the new one removed', () =>
    withParts(async (directory, parts) => {
      await expect(build(directory, parts.slice(0, 4))).resolves.toBeUndefined()
      expect(await exists(join(directory, 'copy.building'))).toBe(true)
      expect(await keysOpened(directory)).toEqual(['of the old copy'])
    }))

  test('between the two renames → the old copy is put back', () =>
    withParts(async (directory, parts) => {
      await build(directory, parts)
      await rename(join(directory, 'copy'), join(directory, 'copy.replaced'))
      expect(await keysOpened(directory)).toEqual(['of the old copy'])
    }))

  test('P8: before it has caught up → noticed as damage, never served', () =>
    withParts(async (directory, parts) => {
      await build(directory, parts)
      await replaceWithBuilt(join(directory, 'copy'))
      const opened = LiveCopy.open(optionsIn(directory, 'copy'))
      const error: unknown = await opened.catch((cause: unknown) => cause)
      expect(isDamage(error)).toBe(true)
      expect(String(error)).toMatch(/holds effects up to revision \d+, the log ends at \d+/)
    }))
})
