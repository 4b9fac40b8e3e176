/**
 * The offline check of a replica: silent about a sound one in whatever state it was left, and exact
 * about a damaged one (P2, P8). It changes nothing.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Journals } from '../journal/journals.js'
import { nodeFileSystem } from '../log/file-system.js'
import { Shard } from '../shard.js'
import { State } from '../state/state.js'
import { GatheredAnswers, setCall } from '../testing/calls.js'
import { inDirectory } from '../testing/directory.js'
import { JournalContents } from './journal-contents.js'
import { checkReplica } from './replica-check.js'

const CLUSTER = 'cluster-1'
const SHARD = 5

/** Of the one client there is: no write is another sent again. */
let nextSequence = 1

class Place {
  readonly volume: string
  readonly directory: string

  constructor(volume: string) {
    this.volume = volume
    this.directory = join(volume, 'shards', String(SHARD), '0')
  }

  async open(epoch: number): Promise<Shard> {
    const journals = new Journals({ files: nodeFileSystem, volume: this.volume, childId: 1 })
    return Shard.open({
      directory: this.directory,
      create: epoch === 1,
      epoch,
      shard: SHARD,
      clusterId: CLUSTER,
      clock: { now: () => 1_000_000 },
      journals,
      onFailure: () => undefined,
    })
  }

  async findings(epoch: number = 9, isInSync: boolean = true): Promise<string[]> {
    const { findings } = await checkReplica({
      files: nodeFileSystem,
      directory: this.directory,
      clusterId: CLUSTER,
      shard: SHARD,
      epoch,
      isInSync,
      journals: new JournalContents(nodeFileSystem, this.volume),
    })
    return findings.map(({ path, what }) => `${path.slice(this.volume.length)}: ${what}`)
  }

  /** All bytes of the replica and the journals, to see that nothing changes. */
  async contents(): Promise<Map<string, string>> {
    const names = await readdir(this.volume, { recursive: true, withFileTypes: true })
    const files = names.filter((entry) => entry.isFile() && entry.name !== 'lock.mdb')
    const paths = files.map((entry) => join(entry.parentPath, entry.name))
    const read = async (path: string): Promise<[string, string]> => [
      path,
      (await readFile(path)).toString('latin1'),
    ]
    return new Map(await Promise.all(paths.map(read)))
  }
}

async function write(shard: Shard, keys: readonly string[], value: string): Promise<void> {
  const answers = new GatheredAnswers()
  const origin = {
    clientId: 1,
    lowWater: 0,
    answers,
    nowMs: 1_000_000,
    sequence: 0,
    position: 0,
    isResend: false,
  }
  for (const [position, key] of keys.entries()) {
    const expiry = { kind: 'ttl', ms: 60_000 } as const
    shard.submit(setCall(key, value, position % 2 === 0 ? { expiry } : {}), {
      ...origin,
      position,
      sequence: nextSequence++,
    })
  }
  shard.flush()
  await Promise.all(keys.map((_, position) => answers.at(position)))
}

function withPlace(use: (place: Place) => Promise<void>): Promise<void> {
  return inDirectory((directory) => use(new Place(directory)))
}

/** One that has applied a part of what it wrote, and was closed cleanly. */
async function fill(place: Place): Promise<void> {
  const shard = await place.open(1)
  await write(shard, ['a', 'b', 'c'], 'the first value')
  await shard.apply()
  await write(shard, ['a', 'd'], 'the second value')
  await shard.close()
}

describe('sound', () => {
  test('closed cleanly → nothing found, nothing changed', () =>
    withPlace(async (place) => {
      await fill(place)
      const before = await place.contents()
      expect(await place.findings()).toEqual([])
      expect(await place.contents()).toEqual(before)
    }))

  test('frames in the journal alone → nothing found, nothing changed', () =>
    withPlace(async (place) => {
      await fill(place)
      const shard = await place.open(2)
      await write(shard, ['e'], 'in the journal')
      // As a kill would leave it: still open, so that the segments lack the last frames.
      const before = await place.contents()
      expect(await place.findings()).toEqual([])
      expect(await place.contents()).toEqual(before)
      await shard.close()
    }))
})

describe('damaged', () => {
  test('a byte of a frame → file, offset and what is wrong', () =>
    withPlace(async (place) => {
      await fill(place)
      const directory = join(place.directory, 'log')
      const [name = ''] = (await readdir(directory)).filter((each) => each.endsWith('.log'))
      const path = join(directory, name)
      const bytes = await readFile(path)
      const offset = bytes.indexOf('the first value')
      bytes[offset] = 0x21
      await writeFile(path, bytes)
      const [found = '', ...others] = await place.findings()
      expect(found).toMatch(/bad-frame.*at byte \d+/)
      expect(others).toEqual([])
    }))

  test('a byte of a stored entry → its key', () =>
    withPlace(async (place) => {
      await fill(place)
      const path = join(place.directory, 'state', 'data.mdb')
      const bytes = await readFile(path)
      bytes[bytes.indexOf('the first value')] = 0x21
      await writeFile(path, bytes)
      expect((await place.findings()).join()).toMatch(/stored entry of key "." fails its checksum/)
    }))

  test('an entry that the log tells otherwise → found on both sides', () =>
    withPlace(async (place) => {
      await fill(place)
      const state = State.open(join(place.directory, 'state'), { clusterId: CLUSTER, shard: SHARD })
      const memory = { bytes: Buffer.from('forged') }
      const held = { version: 2, expiresAt: 0, memory, start: 0, end: 6 }
      await state.write([{ key: 'b', held }])
      await state.write([{ key: 'c', held: { ...held, memory: undefined } }])
      await state.close()
      const found = (await place.findings()).join('\n')
      expect(found).toContain('"b" has version 2, the log says version')
      expect(found).toContain('nothing under "c"')
    }))

  test('a state ahead of its log, and an epoch nobody gave out', () =>
    withPlace(async (place) => {
      await fill(place)
      const state = State.open(join(place.directory, 'state'), { clusterId: CLUSTER, shard: SHARD })
      await state.write([], { appliedRevision: 900, applyingRevision: 900 })
      await state.close()
      const found = (await place.findings(0)).join('\n')
      expect(found).toMatch(/state holds effects up to revision 900, the log ends at \d+/)
      expect(found).toContain('the log has reached epoch 1, the newest that was given out is 0')
    }))

  test('a state ahead of its log in a copy out of the set → it catches up with a snapshot', () =>
    withPlace(async (place) => {
      await fill(place)
      const state = State.open(join(place.directory, 'state'), { clusterId: CLUSTER, shard: SHARD })
      await state.write([], { applyingRevision: 900 })
      await state.close()
      expect(await place.findings(9, false)).toEqual([])
    }))

  test.each(['log', 'state'])('no %s → damage, never an empty replica', (part) =>
    withPlace(async (place) => {
      await fill(place)
      await rm(join(place.directory, part), { recursive: true })
      expect(await place.findings()).not.toEqual([])
    }),
  )
})
