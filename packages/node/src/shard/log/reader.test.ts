import { describe, expect, test } from 'vitest'
import { LogDamage, LogTrimmed } from './errors.js'
import { decodeFrame, encodeFrame } from './frame.js'
import { Log } from './log.js'
import { READ_BYTES } from './reader.js'
import { decodeSegmentHeader, type SegmentHeader } from './segment-header.js'
import { append, describe as text, framesFrom, openOn, optionsOn } from './testing/log-fixture.js'
import { SimulatedDisk } from './testing/simulated-disk.js'

const LONG = 'x'.repeat(110)

function headerOf(bytes: Buffer): SegmentHeader {
  const decoded = decodeSegmentHeader(bytes)
  if (decoded.kind !== 'header') throw new Error(decoded.kind)
  return decoded.header
}

async function logOf(count: number): Promise<{ disk: SimulatedDisk; log: Log; all: string[] }> {
  const disk = new SimulatedDisk()
  const log = await Log.create(optionsOn(disk))
  const all: string[] = []
  for (let index = 0; index < count; index += 1) all.push(await append(log, LONG, { count: 2 }))
  return { disk, log, all }
}

describe('reader', () => {
  test('any revision → the frames from the one that holds it, across segments', async () => {
    const { log, all } = await logOf(10)
    for (let revision = 1; revision <= 20; revision += 1) {
      expect(await framesFrom(log, revision)).toEqual(all.slice(Math.floor((revision - 1) / 2)))
    }
    expect(await framesFrom(log, 21)).toEqual([])
  })

  test('segments that opening did not read → are read and checked', async () => {
    const { disk, log, all } = await logOf(10)
    await log.close()
    const { log: again } = await openOn(disk, { replayAfter: 20 })
    expect(await framesFrom(again, 1)).toEqual(all)
    const [first = ''] = disk.paths()
    const bytes = disk.bytesOf(first)
    for (const offset of [4096 + 3, 4096 + 60, 4096 + 2 * 158 + 70]) {
      const damaged = Buffer.from(bytes)
      damaged[offset]! ^= 1
      disk.place(first, damaged)
      await expect(framesFrom(again, 1)).rejects.toBeInstanceOf(LogDamage)
    }
    disk.place(first, bytes.fill(0, 4096 + 2 * 158))
    await expect(framesFrom(again, 1)).rejects.toBeInstanceOf(LogDamage)
  })

  test('a valid frame that does not follow the one before it → damage', async () => {
    const { disk, log } = await logOf(10)
    const [first = ''] = disk.paths()
    const bytes = disk.bytesOf(first)
    const { salt } = headerOf(bytes)
    const offset = 4096 + 158
    const decoded = decodeFrame(bytes, offset, salt)
    encodeFrame(bytes.subarray(offset), 110, { ...decoded!.frame, previousChecksum: 1 }, salt)
    disk.place(first, bytes)
    await expect(framesFrom(log, 1)).rejects.toMatchObject({
      damage: 'broken-chain',
      offsetBytes: offset,
    })
  })

  test('at the tail → nothing, then what was appended since, each frame once', async () => {
    const { log } = await logOf(0)
    const reader = log.reader(1)
    expect(await reader.next()).toBeUndefined()
    for (let index = 0; index < 12; index += 1) {
      const appended = await append(log, index % 5 === 0 ? 'x'.repeat(9000) : LONG)
      const read = await reader.next()
      expect(read === undefined ? undefined : text(read)).toBe(appended)
      expect(await reader.next()).toBeUndefined()
      if (index % 4 === 0) await reader.close()
    }
  })

  test('an append under way → is not seen before it is durable', async () => {
    const { disk, log, all } = await logOf(2)
    disk.onOperation = ({ kind }) => (kind === 'write' ? { kind: 'hang' } : undefined)
    const hung = append(log, 'not durable')
    expect(await framesFrom(log, 1)).toEqual(all)
    log.abandon(new Error('enough'))
    await expect(hung).rejects.toThrow('failed')
    expect(await framesFrom(log, 1)).toEqual(all)
  })

  test('reading while appends go on → every durable frame, once, in order', async () => {
    const { log } = await logOf(0)
    const read: string[] = []
    const appended: string[] = []
    const reader = log.reader(1)
    const reading = (async () => {
      while (read.length < 60) {
        const frame = await reader.next()
        if (frame !== undefined) read.push(text(frame))
      }
    })()
    for (let index = 0; index < 60; index += 1) appended.push(await append(log, `${index} ${LONG}`))
    await reading
    expect(read).toEqual(appended)
  })

  test('a frame longer than one read → is read whole', async () => {
    const disk = new SimulatedDisk()
    const log = await Log.create(optionsOn(disk))
    const all = [await append(log, 'a'), await append(log, 'x'.repeat(READ_BYTES + 5))]
    all.push(await append(log, 'b'))
    expect(await framesFrom(log, 1)).toEqual(all)
  })

  test('a short read → is completed', async () => {
    const { disk, log, all } = await logOf(5)
    disk.onOperation = ({ kind }) => (kind === 'read' ? { kind: 'short', bytes: 7 } : undefined)
    expect(await framesFrom(log, 1)).toEqual(all)
  })

  test('a revision that was dropped → LogTrimmed with the first one that is there', async () => {
    const { log } = await logOf(10)
    const reader = log.reader(1)
    await reader.next()
    await log.dropBefore(13)
    await expect(framesFrom(log, 1)).rejects.toBeInstanceOf(LogTrimmed)
    await expect(framesFrom(log, 12)).rejects.toMatchObject({ firstRevision: 13 })
    expect(await framesFrom(log, 13)).toHaveLength(4)
    await expect(reader.next()).rejects.toBeInstanceOf(LogTrimmed)
  })

  test('a segment dropped under a reader that can go on → it goes on', async () => {
    const { log, all } = await logOf(10)
    const reader = log.reader(1)
    await reader.next()
    await log.dropBefore(7)
    const read: string[] = []
    for (let frame = await reader.next(); frame; frame = await reader.next()) read.push(text(frame))
    expect(read).toEqual(all.slice(1))
  })
})
