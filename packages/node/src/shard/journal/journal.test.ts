import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import { LogDamage, LogFailed } from '../log/errors.js'
import { SimulatedDisk } from '../log/testing/simulated-disk.js'
import { BLOCK_ALIGNMENT_BYTES, encodeBlock } from './block.js'
import { readJournal } from './content.js'
import { Journal } from './journal.js'
import type { JournalMember } from './journal-member.js'
import { Journals } from './journals.js'
import { journalIdOf, journalName, journalPaths } from './names.js'

const DIRECTORY = '/volume/journals'
const FILE_BYTES = 65_536
/** A file has room for three blocks of one frame like this. */
const LARGE = 20_000

function create(disk: SimulatedDisk, fileBytesMax: number = FILE_BYTES): Promise<Journal> {
  const files = disk.mount()
  const sizes = { fileBytesMin: FILE_BYTES, fileBytesMax }
  return Journal.create({ files, directory: DIRECTORY, childId: 1, ...sizes })
}

function append(journal: Journal, text: string, shard: number = 0): Promise<void> {
  const bytes = Buffer.from(text)
  return journal.append({ shard, salt: 7, firstRevision: 1, offset: 0, bytes })
}

async function textsIn(disk: SimulatedDisk, journal: Journal): Promise<string[]> {
  const blocks = await readJournal(disk.mount(), DIRECTORY, journal.name)
  return blocks.flatMap(({ records }) => records.map(({ bytes }) => bytes.toString()))
}

async function bind(
  disk: SimulatedDisk,
  journal: Journal,
  shard: number,
  writeOut: () => Promise<void>,
): Promise<void> {
  const member = journal.memberFor(shard, `/volume/shards/${shard}/0/log`)
  await member.bind([])
  member.join({ writeOut, abandon: () => undefined })
  expect(disk.paths().filter((path) => path.endsWith('.bound'))).toHaveLength(1)
}

function writesIn(disk: SimulatedDisk): { count: number } {
  const writes = { count: 0 }
  disk.onOperation = ({ kind, path }) => {
    if (kind === 'write' && path.endsWith('.journal')) writes.count += 1
    return undefined
  }
  return writes
}

describe('a journal', () => {
  test('makes the frames of one turn durable with one write', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    const writes = writesIn(disk)
    await Promise.all([append(journal, 'a', 1), append(journal, 'b', 2), append(journal, 'c', 3)])
    expect(writes.count).toBe(1)
    disk.cutPower(() => 1)
    expect(await textsIn(disk, journal)).toEqual(['a', 'b', 'c'])
  })

  test('writes what comes while a block is being synced in the next one', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    const writes = writesIn(disk)
    const first = append(journal, 'a')
    await Promise.resolve()
    const others = [append(journal, 'b'), append(journal, 'c')]
    await Promise.all([first, ...others])
    expect(writes.count).toBe(2)
    expect(await textsIn(disk, journal)).toEqual(['a', 'b', 'c'])
  })

  test('P1: what was not acknowledged may be missing, and nothing else', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    await append(journal, 'a')
    void append(journal, 'b'.repeat(3_000))
    await Promise.resolve()
    await Promise.resolve()
    disk.cutPower(() => 0.4)
    expect((await textsIn(disk, journal))[0]).toBe('a')
  })

  test('does not use a file again before its frames are in their segments', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    let onWritten = (): void => undefined
    const written = new Promise<void>((resolve) => {
      onWritten = resolve
    })
    await bind(disk, journal, 1, () => written)
    for (const text of 'abcdef') await append(journal, text.repeat(LARGE))
    const waiting = append(journal, 'g'.repeat(LARGE))
    const first = await Promise.race([waiting.then(() => 'appended'), turns().then(() => 'waits')])
    expect(first).toBe('waits')
    onWritten()
    await waiting
    const kept = await textsIn(disk, journal)
    expect(kept.map((text) => text[0]).join('')).toBe('defg')
  })

  test('fails rather than overwrite frames that could not be brought into their segments', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    await bind(disk, journal, 1, () => Promise.reject(new LogFailed('an I/O error')))
    await append(journal, 'kept', 1)
    const appending = (async () => {
      for (const text of 'abcdefg') await append(journal, text.repeat(LARGE), 2)
    })()
    await assert.rejects(appending, LogFailed)
    await assert.rejects(append(journal, 'more'), LogFailed)
    expect(journal.failure).toBeInstanceOf(LogFailed)
    expect(await textsIn(disk, journal)).toContain('kept')
  })

  test('forgets a failed log that was opened elsewhere since', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    await bind(disk, journal, 1, () => Promise.reject(new LogFailed('an I/O error')))
    for (const path of disk.paths()) if (path.endsWith('.bound')) disk.remove(path)
    for (const text of 'abcdefgh') await append(journal, text.repeat(LARGE))
    expect(journal.failure).toBeUndefined()
  })

  test('grows while it is used, up to its limit', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk, 2 * FILE_BYTES)
    for (const text of 'abcdefghijklmnop') await append(journal, text.repeat(LARGE))
    const paths = journalPaths(DIRECTORY, journal.name)
    expect(paths.map((path) => disk.bytesOf(path).length)).toEqual([2 * FILE_BYTES, 2 * FILE_BYTES])
  })

  test('leaves nothing behind when every log was closed cleanly', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    const member = journal.memberFor(1, '/volume/shards/1/0/log')
    await member.bind([])
    member.join({ writeOut: () => Promise.resolve(), abandon: () => undefined })
    await append(journal, 'a', 1)
    await member.release()
    await journal.close()
    expect(disk.paths()).toEqual([])
  })
})

describe('the journal of another child, from which logs are opened', () => {
  const logOf = (shard: number): string => `/volume/shards/${shard}/0/log`

  test('P1: a log whose opening is asked for later is not given an earlier reading', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    for (const shard of [1, 2]) await journal.memberFor(shard, logOf(shard)).bind([])
    await append(journal, 'a', 1)
    const reader = new Journals({ files: disk.mount(), volume: '/volume', childId: 2 })
    let onRead = (): void => undefined
    const isRead = new Promise<void>((resolve) => (onRead = resolve))
    let letGo = (): void => undefined
    const until = new Promise<void>((resolve) => (letGo = resolve))
    disk.onOperation = ({ kind, path }) => {
      if (kind !== 'read' || !path.endsWith('.journal')) return undefined
      disk.onOperation = () => undefined
      onRead()
      return { kind: 'wait', until }
    }
    const [one, also] = [reader.fromNow(), reader.fromNow()]
    const first = one.framesOf(1, logOf(1))
    await isRead
    // The writer lives, goes on, and only then gives the other log up.
    await append(journal, 'b', 2)
    const second = await reader.fromNow().framesOf(2, logOf(2))
    const shared = also.framesOf(1, logOf(1))
    letGo()
    expect(second.map(({ bytes }) => bytes.toString())).toEqual(['b'])
    expect((await first).length + (await shared).length).toBe(2)
  })
})

describe('a journal that is read while it is written', () => {
  test.each(['always', 'everysec'] as const)(
    'changes files between the readings of both → read again, no damage: %s',
    async (fsync) => {
      const disk = new SimulatedDisk()
      const sizes = { fileBytesMin: FILE_BYTES, fileBytesMax: FILE_BYTES }
      const options = { files: disk.mount(), directory: DIRECTORY, childId: 1, ...sizes }
      const journal = await Journal.create({ ...options, fsync, schedule: () => () => undefined })
      await append(journal, 'a'.repeat(LARGE))
      let onRead = (): void => undefined
      const isRead = new Promise<void>((resolve) => (onRead = resolve))
      let letGo = (): void => undefined
      const until = new Promise<void>((resolve) => (letGo = resolve))
      const second = journalPaths(DIRECTORY, journal.name, fsync)[1]
      disk.onOperation = ({ kind, path }) => {
        if (kind !== 'read' || path !== second) return undefined
        disk.onOperation = () => undefined
        onRead()
        return { kind: 'wait', until }
      }
      const reading = textsIn(disk, journal)
      await isRead
      for (const text of 'bcd') await append(journal, text.repeat(LARGE))
      letGo()
      expect((await reading).map((text) => text[0]).join('')).toBe('abcd')
    },
  )
})

describe('a journal of a version that began its files with frames', () => {
  const name = journalName(1, Buffer.alloc(16, 7))

  /** A page for each block, whose frame says its number. */
  function fileOf(numbers: readonly number[]): Buffer {
    const bytes = Buffer.alloc(FILE_BYTES)
    for (const [page, number] of numbers.entries()) {
      const frame = {
        shard: 0,
        salt: 7,
        firstRevision: 1,
        offset: 0,
        bytes: Buffer.from(`${number}`),
      }
      const target = bytes.subarray(page * BLOCK_ALIGNMENT_BYTES)
      encodeBlock(target, { journalId: journalIdOf(name)!, number }, [frame])
    }
    return bytes
  }

  async function read(first: Buffer, second: Buffer): Promise<string[]> {
    const disk = new SimulatedDisk()
    const paths = journalPaths(DIRECTORY, name)
    for (const [index, bytes] of [first, second].entries()) disk.place(paths[index]!, bytes)
    const blocks = await readJournal(disk.mount(), DIRECTORY, name)
    return blocks.flatMap(({ records }) => records.map(({ bytes }) => bytes.toString()))
  }

  test('both files count', async () => {
    expect(await read(fileOf([1, 2, 3]), fileOf([4, 5]))).toEqual(['1', '2', '3', '4', '5'])
    expect(await read(fileOf([6, 7]), fileOf([4, 5]))).toEqual(['4', '5', '6', '7'])
  })

  test('a first block that is torn at its head is cut', async () => {
    const torn = fileOf([1, 2, 3])
    torn.fill(1, 0, 512)
    expect(await read(torn, fileOf([4, 5]))).toEqual(['4', '5'])
  })
})

describe('a journal whose write hangs', () => {
  interface Hung {
    readonly journals: Journals
    readonly disk: SimulatedDisk
    /** Through the first journal; the next write to it hangs. */
    readonly member: JournalMember
    readonly release: () => void
  }

  async function hung(): Promise<Hung> {
    const disk = new SimulatedDisk()
    const sizes = { fileBytesMin: FILE_BYTES, fileBytesMax: FILE_BYTES }
    const journals = new Journals({ files: disk.mount(), volume: '/volume', childId: 1, ...sizes })
    const member = (await journals.memberFor(1, '/volume/shards/1/0/log'))!
    await put(member, 'a')
    let release = (): void => undefined
    const until = new Promise<void>((resolve) => (release = resolve))
    let isFirst = true
    disk.onOperation = ({ kind, path }) => {
      if (kind !== 'write' || !path.endsWith('.journal') || !isFirst) return undefined
      isFirst = false
      return { kind: 'wait', until }
    }
    return { journals, disk, member, release }
  }

  function put(member: JournalMember, text: string): Promise<void> {
    const bytes = Buffer.from(text)
    return member.append(1, 7, 0, bytes, bytes.length)
  }

  test('a log gives up → the next one that is opened does not wait for the same write', async () => {
    const { journals, member, release } = await hung()
    const late = put(member, 'b')
    const before = await journals.memberFor(2, '/volume/shards/2/0/log')
    member.abandon(new Error('no answer for 2 s'))
    const after = await journals.memberFor(1, '/volume/shards/1/0/log')
    await put(after!, 'c')
    // A log that is still with the old one is opened anew, too.
    await assert.rejects(put(before!, 'd'), LogFailed)
    release()
    await late
  })

  test('a frame that hangs in its segment → the journal stays', async () => {
    const { journals, disk, member, release } = await hung()
    member.abandon(new Error('no answer for 2 s'))
    release()
    await put((await journals.memberFor(2, '/volume/shards/2/0/log'))!, 'b')
    await put(member, 'c')
    expect(new Set(disk.paths().filter((path) => path.endsWith('.journal'))).size).toBe(2)
  })
})

describe('P8: damage of a journal is noticed', () => {
  test('the head of a block before a good one, at every byte of it', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    for (const text of ['first', 'second', 'third']) await append(journal, text)
    const [path] = journalPaths(DIRECTORY, journal.name)
    const whole = disk.bytesOf(path)
    const headBytes = 40 + 28
    for (let at = 0; at < headBytes; at += 1) {
      const bytes = Buffer.from(whole)
      bytes[BLOCK_ALIGNMENT_BYTES + at]! ^= 0x10
      disk.place(path, bytes)
      await assert.rejects(textsIn(disk, journal), LogDamage)
    }
  })

  test('any head in a file that is used again, and in the one before it', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    for (const text of 'abcdefg') await append(journal, text.repeat(LARGE))
    // Both begin with an empty block now; the first one holds the newest.
    const [first, second] = journalPaths(DIRECTORY, journal.name)
    const heads: [string, number][] = [[first, 0]]
    for (const page of [0, 1, 6, 11]) heads.push([second, page * BLOCK_ALIGNMENT_BYTES])
    for (const [path, head] of heads) {
      const whole = disk.bytesOf(path)
      for (let at = 0; at < 40; at += 1) {
        const bytes = Buffer.from(whole)
        bytes[head + at]! ^= 0x10
        disk.place(path, bytes)
        await assert.rejects(textsIn(disk, journal), { damage: 'bad-journal-block' })
      }
      disk.place(path, whole)
    }
    expect((await textsIn(disk, journal)).map((text) => text[0]).join('')).toBe('defg')
  })

  test('a frame of a block before a good one: the others of the block can be read', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    await Promise.all([append(journal, 'one', 1), append(journal, 'two', 2)])
    await append(journal, 'three')
    const [path] = journalPaths(DIRECTORY, journal.name)
    const bytes = disk.bytesOf(path)
    bytes[bytes.indexOf('two')]! ^= 1
    disk.place(path, bytes)
    const [block] = await readJournal(disk.mount(), DIRECTORY, journal.name)
    expect(block?.records.map(({ shard, isSound }) => ({ shard, isSound }))).toEqual([
      { shard: 1, isSound: true },
      { shard: 2, isSound: false },
    ])
  })

  test('a torn last block was never acknowledged', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    for (const text of ['first', 'second']) await append(journal, text)
    const [path] = journalPaths(DIRECTORY, journal.name)
    const bytes = disk.bytesOf(path)
    bytes[bytes.indexOf('second')]! ^= 1
    disk.place(path, bytes)
    expect(await textsIn(disk, journal)).toEqual(['first'])
  })

  test('a file that is gone', async () => {
    const disk = new SimulatedDisk()
    const journal = await create(disk)
    await append(journal, 'a')
    disk.remove(journalPaths(DIRECTORY, journal.name)[0])
    await assert.rejects(textsIn(disk, journal), { damage: 'missing-journal' })
  })
})

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
