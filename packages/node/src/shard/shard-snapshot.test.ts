import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { LiveCopy } from './snapshot/testing/live-copy.js'
import { incrementCall, setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { ReplicaGroup } from './testing/replica-group.js'

/** Longer than the primary keeps its log for a copy that it has lost. */
const LOST_MS = 70_000
const KEYS = 40
const VALUE_BYTES = 30_000

interface Contents {
  readonly all: unknown
  readonly firstRevision: number
  readonly frames: Map<number, number>
}

/** What a copy holds that nobody has open: entries and sessions, and its log by revision. */
async function contentsOf(directory: string): Promise<Contents> {
  const options = { directory, clusterId: 'cluster-1', shard: 5, create: false }
  const copy = await LiveCopy.open(options)
  copy.commit()
  const { log } = copy.replica
  const frames = new Map<number, number>()
  for await (const frame of log.readFrom(log.firstRevision)) {
    frames.set(frame.firstRevision, frame.checksum)
  }
  const contents = { all: copy.contents(), firstRevision: log.firstRevision, frames }
  await copy.close()
  return contents
}

/** Writes that end in every segment of the log: long values, counters, a lock, entries that end. */
async function writeAll(group: ReplicaGroup, round: number): Promise<void> {
  const { primary } = group
  for (let key = 0; key < KEYS; key += 1) {
    const text = `${round}-${key}`.padEnd(VALUE_BYTES, '.')
    const expiry = { kind: 'ttl', ms: 10_000_000 } as const
    await primary.write(setCall(`key-${key}`, text, key % 5 === 0 ? { expiry } : {}))
    await primary.write(incrementCall('counter', 1))
  }
  const owner = Buffer.from(`${round}`)
  const lock = { type: 'lock', key: 'lock', owner, ttlMs: 9_000_000, ticket: 0 } as const
  await primary.write({ ...lock, waitMs: 9_000_000 })
}

/** A primary alone, whose log no longer begins at the beginning. */
async function trimmed(group: ReplicaGroup): Promise<void> {
  await group.kill(1)
  await group.untilInSync(1)
  await writeAll(group, 1)
  await group.pass(LOST_MS)
  await group.primary.shard.apply()
}

/** In what the two copies differ, when all is at rest. */
async function differences(group: ReplicaGroup): Promise<readonly string[]> {
  await group.untilEqual()
  await group.close()
  const directories = [0, 1].map((copy) => group.directoryOf(copy))
  const [primary, copy] = (await Promise.all(directories.map(contentsOf))) as [Contents, Contents]
  const isAlike = (revision: number): boolean =>
    primary.frames.get(revision) === copy.frames.get(revision)
  const since = Math.max(primary.firstRevision, copy.firstRevision)
  const revisions = [...primary.frames.keys(), ...copy.frames.keys()]
  return [
    ...(isDeepStrictEqual(primary.all, copy.all) ? [] : ['entries or sessions']),
    ...(primary.firstRevision > 1 ? [] : ['the log of the primary was not trimmed']),
    ...(copy.firstRevision > 1 ? [] : ['the copy was not rebuilt']),
    ...revisions.filter((each) => each >= since && !isAlike(each)).map((each) => `frame ${each}`),
    ...group.failures.map(String),
  ]
}

describe('a copy without what it needs of the log', () => {
  for (const withJournals of [false, true]) {
    const how = withJournals ? 'with journals' : 'without'
    test(
      `P1, P2, P4: empty, the log trimmed, writes go on → equal, and in sync (${how})`,
      () =>
        inDirectory(async (directory) => {
          const options = { directory, copies: 2, minInSync: 1, withJournals, reconnects: true }
          const group = await ReplicaGroup.start(options)
          await writeAll(group, 0)
          await trimmed(group)
          await group.lose(1)
          await group.host(1)
          // While pages are read, and after.
          await Promise.all([writeAll(group, 2), writeAll(group, 3)])
          await group.untilInSync(2)
          await writeAll(group, 4)
          expect(await differences(group)).toEqual([])
        }),
      90_000,
    )
  }

  test(
    'P1, P2: of an old log, the log trimmed → rebuilt, then primary when the other dies',
    () =>
      inDirectory(async (directory) => {
        const options = { directory, copies: 2, minInSync: 1, reconnects: true }
        const group = await ReplicaGroup.start(options)
        await writeAll(group, 0)
        await trimmed(group)
        await group.host(1)
        await group.untilInSync(2)
        await writeAll(group, 2)
        await group.kill(0)
        await group.promote(1)
        await writeAll(group, 3)
        await group.host(0)
        await group.untilInSync(2)
        expect(await differences(group)).toEqual([])
      }),
    90_000,
  )
})
