import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import { LogDamage, LogFailed } from '../log/errors.js'
import { FRAME_HEADER_BYTES } from '../log/frame.js'
import { Log } from '../log/log.js'
import { SimulatedDisk } from '../log/testing/simulated-disk.js'
import { BLOCK_ALIGNMENT_BYTES } from './block.js'
import { readJournal } from './content.js'
import { Journal } from './journal.js'
import { Journals } from './journals.js'
import { journalPaths } from './names.js'
import { HandTimer } from './testing/hand-timer.js'

const DIRECTORY = '/volume/journals'
const FILE_BYTES = 65_536
/** A file has room for three blocks of one frame like this, and the one that ends it. */
const LARGE = 20_000

async function begin(disk: SimulatedDisk): Promise<{ journal: Journal; timer: HandTimer }> {
  const timer = new HandTimer()
  const journal = await Journal.create({
    files: disk.mount(),
    directory: DIRECTORY,
    childId: 1,
    fsync: 'everysec',
    schedule: timer.schedule,
    fileBytesMin: FILE_BYTES,
    fileBytesMax: FILE_BYTES,
  })
  return { journal, timer }
}

function append(journal: Journal, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  return journal.append({ shard: 1, salt: 7, firstRevision: 1, offset: 0, bytes })
}

async function textsIn(disk: SimulatedDisk, journal: Journal): Promise<string> {
  const blocks = await readJournal(disk.mount(), DIRECTORY, journal.name)
  const texts = blocks.flatMap(({ records }) => records.map(({ bytes }) => bytes.toString()))
  return texts.map((text) => text[0]).join('')
}

const [NOTHING, EVERYTHING] = [(): number => 1, (): number => 0]

describe('a journal that syncs every second', () => {
  test('P1: a kill takes nothing back, a power cut what was not synced', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    await append(journal, 'a')
    await journal.sync()
    await append(journal, 'b')
    expect(await textsIn(disk, journal)).toBe('ab')
    disk.kill()
    expect(await textsIn(disk, journal)).toBe('ab')
    disk.cutPower(NOTHING)
    expect(await textsIn(disk, journal)).toBe('a')
  })

  test('a second after a write → it is synced by itself', async () => {
    const disk = new SimulatedDisk()
    const { journal, timer } = await begin(disk)
    await append(journal, 'a')
    timer.fire()
    await journal.sync()
    disk.cutPower(NOTHING)
    expect(await textsIn(disk, journal)).toBe('a')
  })

  test('a block that is missing ends the journal, although later ones are there', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    for (const text of 'abcd') await append(journal, text)
    const [path] = journalPaths(DIRECTORY, journal.name, 'everysec')
    const bytes = disk.bytesOf(path)
    bytes.fill(0, 2 * BLOCK_ALIGNMENT_BYTES, 3 * BLOCK_ALIGNMENT_BYTES)
    disk.place(path, bytes)
    expect(await textsIn(disk, journal)).toBe('ab')
  })

  test('P8: one that is missing and was synced is damage', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    for (const text of 'abc') await append(journal, text)
    await journal.sync()
    await append(journal, 'd')
    const [path] = journalPaths(DIRECTORY, journal.name, 'everysec')
    const whole = disk.bytesOf(path)
    for (const block of [0, 1, 2]) {
      const bytes = Buffer.from(whole)
      bytes[block * BLOCK_ALIGNMENT_BYTES + 16]! ^= 1
      disk.place(path, bytes)
      await assert.rejects(textsIn(disk, journal), LogDamage)
    }
  })

  test('P8: a frame of a synced block is damage of its shard alone', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    await append(journal, 'first')
    await journal.sync()
    await append(journal, 'second')
    const [path] = journalPaths(DIRECTORY, journal.name, 'everysec')
    const bytes = disk.bytesOf(path)
    bytes[bytes.indexOf('first')]! ^= 1
    disk.place(path, bytes)
    const blocks = await readJournal(disk.mount(), DIRECTORY, journal.name)
    const records = blocks.flatMap((block) => block.records)
    expect(records.map(({ isSound }) => isSound)).toEqual([false, true])
  })

  test('a full file is on the disk before the other one is written', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    for (const text of 'abcd') await append(journal, text.repeat(LARGE))
    disk.cutPower(NOTHING)
    expect(await textsIn(disk, journal)).toBe('abc')
  })

  test('a file that is written over says so first: what is left of it is not needed', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    for (const text of 'abcdefg') await append(journal, text.repeat(LARGE))
    // Of the block that was to be over the oldest one, every other sector got there.
    let sectors = 0
    disk.cutPower(() => sectors++ % 2)
    expect(await textsIn(disk, journal)).toBe('def')
  })

  test('everything that is seen survives a cut that loses nothing', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    for (const text of 'abcdefg') await append(journal, text.repeat(LARGE))
    disk.cutPower(EVERYTHING)
    expect(await textsIn(disk, journal)).toBe('defg')
  })

  test('a sync fails → its logs are told at once, and nothing more is taken', async () => {
    const disk = new SimulatedDisk()
    const { journal, timer } = await begin(disk)
    const told: Error[] = []
    const member = journal.memberFor(1, '/volume/shards/1/0/log')
    await member.bind([])
    member.join({ writeOut: () => Promise.resolve(), abandon: (cause) => told.push(cause) })
    await append(journal, 'a')
    disk.onOperation = ({ kind }) => (kind === 'sync' ? { kind: 'lose', code: 'EIO' } : undefined)
    timer.fire()
    await assert.rejects(journal.sync() ?? Promise.resolve())
    expect(told).toHaveLength(1)
    await assert.rejects(append(journal, 'b'), LogFailed)
  })

  test('P8: what is written behind to a segment was synced before, and what is read of it', async () => {
    const disk = new SimulatedDisk()
    const files = disk.mount()
    const directory = '/volume/shards/1/0/log'
    const options = { directory, clusterId: 'c', shard: 1, fileSystem: files }
    await (await Log.create(options)).close()
    const { schedule } = new HandTimer()
    const journals = new Journals({
      files,
      volume: '/volume',
      childId: 1,
      fsync: 'everysec',
      schedule,
    })
    const member = await journals.memberFor(1, directory)
    const opening = { replayAfter: 0, onFrame: () => undefined, journal: member! }
    const log = await Log.open({ ...options, ...opening })
    member!.join(log)
    const buffer = Buffer.alloc(FRAME_HEADER_BYTES + 10)
    await log.append(buffer, 10, { epoch: 1, firstRevision: 1, count: 1, timeMs: 1 })
    const done: string[] = []
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'write' || kind === 'sync') done.push(`${kind} ${path.split('.').at(-1)}`)
      return undefined
    }
    await log.reader(1).next()
    expect(done).toEqual(['sync everysec', 'write log'])
  })

  test('a version that knows `always` only does not take it for an empty one', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await begin(disk)
    await append(journal, 'a')
    const paths = journalPaths(DIRECTORY, journal.name)
    expect(disk.paths().filter((path) => paths.includes(path))).toEqual([])
  })
})
