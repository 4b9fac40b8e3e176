import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LogDamage, LogMisuse, LogRefused } from './errors.js'
import { FRAME_HEADER_BYTES } from './frame.js'
import { Log } from './log.js'
import { append, DIRECTORY, framesFrom, openOn, optionsOn, settled } from './testing/log-fixture.js'
import { SimulatedDisk, type DiskOperation } from './testing/simulated-disk.js'

/** Two of these fill more than half of a segment of the fixture. */
const LONG = 'x'.repeat(110)

async function newLog(): Promise<{ disk: SimulatedDisk; log: Log }> {
  const disk = new SimulatedDisk()
  return { disk, log: await Log.create(optionsOn(disk)) }
}

describe('log: create and open', () => {
  test('creating → ends with the log and its directory durable', async () => {
    const disk = new SimulatedDisk()
    const synced: string[] = []
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'syncDirectory') synced.push(path)
      return undefined
    }
    await Log.create(optionsOn(disk))
    expect(synced).toEqual([dirname(DIRECTORY), DIRECTORY])
    disk.cutPower(() => 0.9)
    expect((await openOn(disk)).frames).toEqual([])
  })

  test('a new log → has no revisions and may be opened', async () => {
    const { disk, log } = await newLog()
    expect([log.lastRevision, log.lastEpoch, log.firstRevision]).toEqual([0, 0, 1])
    await log.close()
    expect((await openOn(disk)).frames).toEqual([])
  })

  test('a directory that holds a log → create refuses it', async () => {
    const { disk, log } = await newLog()
    await log.close()
    await expect(Log.create(optionsOn(disk))).rejects.toMatchObject({ reason: 'already-exists' })
  })

  test('an empty directory → open reports damage and makes no new log', async () => {
    const disk = new SimulatedDisk()
    await expect(openOn(disk)).rejects.toMatchObject({ damage: 'no-segments' })
    expect(disk.paths()).toEqual([])
  })

  test('frames appended → the same frames are replayed, in order', async () => {
    const { disk, log } = await newLog()
    const appended = [await append(log, 'a'), await append(log, 'b', { count: 5 })]
    appended.push(await append(log, 'c'))
    await log.close()
    const opened = await openOn(disk)
    expect(opened.frames).toEqual(appended)
    expect(opened.log.last).toEqual(log.last)
    expect(opened.log.lastRevision).toBe(7)
  })

  test('a state that holds revisions → only frames with later ones are replayed', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a', { count: 3 })
    const later = [await append(log, 'b', { count: 3 }), await append(log, 'c')]
    await log.close()
    expect((await openOn(disk, { replayAfter: 3 })).frames).toEqual(later)
    expect((await openOn(disk, { replayAfter: 4 })).frames).toEqual(later)
    expect((await openOn(disk, { replayAfter: 6 })).frames).toEqual(later.slice(1))
    expect((await openOn(disk, { replayAfter: 7 })).frames).toEqual([])
  })

  test('a state ahead of the log → damage', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    await log.close()
    await expect(openOn(disk, { replayAfter: 2 })).rejects.toMatchObject({ damage: 'ends-early' })
  })

  test('a log that continues a snapshot → begins after it and knows its epochs', async () => {
    const disk = new SimulatedDisk()
    const position = { epoch: 4, revision: 100, checksum: 99 }
    const start = { position, epochs: [{ epoch: 4, firstRevision: 60 }] }
    const log = await Log.create({ ...optionsOn(disk), start })
    await append(log, 'a')
    await append(log, 'b', { epoch: 5 })
    await log.close()
    const { log: again, frames } = await openOn(disk, { replayAfter: 100 })
    expect(frames).toEqual(['4:101+1 a', '5:102+1 b'])
    expect(again.epochTable).toEqual([...start.epochs, { epoch: 5, firstRevision: 102 }])
    await expect(openOn(disk, { replayAfter: 99 })).rejects.toMatchObject({ damage: 'starts-late' })
  })

  test.each([
    ['other-cluster', { clusterId: 'cluster-2' }],
    ['other-shard', { shard: 8 }],
  ])('a log of somebody else → refused (%s), nothing changed', async (reason, identity) => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    disk.kill()
    const [path = ''] = disk.paths()
    const before = disk.bytesOf(path)
    const opened = openOn(disk, identity)
    await expect(opened).rejects.toBeInstanceOf(LogRefused)
    await expect(opened).rejects.toMatchObject({ reason })
    expect(disk.bytesOf(path)).toEqual(before)
  })

  test('temporary files of a crash → removed by opening', async () => {
    const { disk, log } = await newLog()
    await log.close()
    disk.place(`${DIRECTORY}/left.tmp`, Buffer.from('half a segment'))
    await openOn(disk)
    expect(disk.paths().some((path) => path.endsWith('.tmp'))).toBe(false)
  })
})

describe('log: append', () => {
  test('an append → one durable write and nothing else', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    const operations: DiskOperation['kind'][] = []
    disk.onOperation = ({ kind }) => void operations.push(kind)
    await append(log, 'b')
    expect(operations).toEqual(['write'])
  })

  test('a second append while one is under way → misuse, and the first one is unharmed', async () => {
    const { log } = await newLog()
    const first = append(log, 'a')
    await expect(append(log, 'b')).rejects.toBeInstanceOf(LogMisuse)
    await first
    expect(await framesFrom(log, 1)).toEqual(['1:1+1 a'])
  })

  test.each([
    ['revision-gap', { firstRevision: 4 }],
    ['revision-repeated', { firstRevision: 2 }],
    ['older-epoch', { epoch: 1 }],
    ['revision-gap', { firstRevision: 4, jump: true }],
    ['revision-gap', { epoch: 3, firstRevision: 4 }],
    ['wrong-jump', { epoch: 3, jump: true }],
  ])(
    'a frame that does not continue the log (%s) → misuse, log unharmed',
    async (fault, changes) => {
      const { log } = await newLog()
      await append(log, 'a', { epoch: 2, count: 2 })
      await expect(append(log, 'b', changes)).rejects.toThrow(fault)
      expect(await append(log, 'c')).toBe('2:3+1 c')
    },
  )

  test.each([
    { count: 0 },
    { epoch: 2 ** 53 },
    { timeMs: -1 },
    { firstRevision: 0.5 },
    { count: 2 ** 32 },
  ])('a number that no frame can hold (%o) → misuse', async (changes) => {
    const { log } = await newLog()
    await expect(append(log, 'a', changes)).rejects.toBeInstanceOf(LogMisuse)
  })

  test('a frame above the limit → misuse', async () => {
    const disk = new SimulatedDisk()
    const log = await Log.create(optionsOn(disk, { frameBytesMax: FRAME_HEADER_BYTES + 10 }))
    await append(log, 'x'.repeat(10))
    await expect(append(log, 'x'.repeat(11))).rejects.toBeInstanceOf(LogMisuse)
  })

  test('an epoch → may begin with a jump that is recorded', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    await append(log, 'b', { epoch: 2, firstRevision: 1000, jump: true })
    await append(log, 'c')
    await log.close()
    const { log: again, frames } = await openOn(disk)
    expect(frames).toEqual(['1:1+1 a', '2:1000+1 b', '2:1001+1 c'])
    expect(again.epochTable).toEqual([
      { epoch: 1, firstRevision: 1 },
      { epoch: 2, firstRevision: 1000 },
    ])
    expect(await framesFrom(again, 500)).toEqual(frames.slice(1))
  })
})

describe('log: close', () => {
  test('a clean close → is recorded, kept until the first append, then durably gone', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    await log.close()
    const mark = `${DIRECTORY}/closed`
    disk.cutPower(() => 0.9)
    expect(disk.paths()).toContain(mark)
    const { log: again } = await openOn(disk)
    expect(disk.paths()).toContain(mark)
    await append(again, 'b')
    disk.cutPower(() => 0)
    expect(disk.paths()).not.toContain(mark)
    expect((await openOn(disk)).frames).toHaveLength(2)
  })

  test('close during an append → waits for it; later appends reject', async () => {
    const { disk, log } = await newLog()
    const appended = append(log, 'a')
    const closed = log.close()
    await expect(append(log, 'b')).rejects.toThrow('closing')
    await Promise.all([appended, closed])
    await expect(append(log, 'b')).rejects.toThrow('closed')
    await expect(log.dropBefore(1)).rejects.toThrow('closed')
    expect((await openOn(disk)).frames).toEqual(['1:1+1 a'])
  })

  test('a prepared segment → is removed by close', async () => {
    const { disk, log } = await newLog()
    await append(log, LONG)
    await append(log, LONG)
    await settled()
    expect(disk.paths()).toHaveLength(2)
    await log.close()
    expect(disk.paths()).toEqual([`${DIRECTORY}/00000000000000000001.log`, `${DIRECTORY}/closed`])
  })

  test('a mark that was damaged → damage, not a log without a mark', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    await log.close()
    disk.place(`${DIRECTORY}/closed`, Buffer.alloc(32))
    await expect(openOn(disk)).rejects.toBeInstanceOf(LogDamage)
  })
})
