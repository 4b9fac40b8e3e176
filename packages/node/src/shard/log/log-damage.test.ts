import { describe, expect, test } from 'vitest'
import { LogDamage } from './errors.js'
import { FRAME_HEADER_BYTES } from './frame.js'
import { Log } from './log.js'
import { SEGMENT_HEADER_BYTES } from './segment-header.js'
import { append, DIRECTORY, openOn, optionsOn } from './testing/log-fixture.js'
import { SimulatedDisk } from './testing/simulated-disk.js'

const BODY_BYTES = 20
const FRAME_BYTES = FRAME_HEADER_BYTES + BODY_BYTES
const FRAMES = 4
const LAST_FRAME_AT = SEGMENT_HEADER_BYTES + (FRAMES - 1) * FRAME_BYTES
const END = SEGMENT_HEADER_BYTES + FRAMES * FRAME_BYTES
const PATH = `${DIRECTORY}/00000000000000000001.log`

interface Written {
  readonly disk: SimulatedDisk
  readonly bytes: Buffer
  readonly frames: readonly string[]
}

/** A log of four frames in one segment, as the end left it. */
async function written(end: 'clean' | 'unclean'): Promise<Written> {
  const disk = new SimulatedDisk()
  const log = await Log.create(optionsOn(disk))
  const frames: string[] = []
  for (let index = 0; index < FRAMES; index += 1) {
    frames.push(await append(log, String(index).repeat(BODY_BYTES)))
  }
  if (end === 'clean') await log.close()
  disk.kill()
  return { disk, bytes: disk.bytesOf(PATH), frames }
}

/** The frames after reopening with these bytes, or that damage was reported. */
async function reopened({ disk }: Written, bytes: Buffer): Promise<readonly string[] | 'damage'> {
  disk.place(PATH, bytes)
  try {
    return (await openOn(disk)).frames
  } catch (error) {
    if (error instanceof LogDamage) return 'damage'
    throw error
  } finally {
    disk.kill()
  }
}

function withFlippedBit(bytes: Buffer, offset: number, bit: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped[offset]! ^= 1 << bit
  return flipped
}

function withZerosFrom(bytes: Buffer, offset: number): Buffer {
  const cleared = Buffer.from(bytes)
  cleared.fill(0, offset)
  return cleared
}

describe('log: every byte of an unclean log', () => {
  test('a flipped bit → damage, or the last frame is cut as torn; nothing else', async () => {
    const log = await written('unclean')
    for (let offset = 0; offset < log.bytes.length; offset += 1) {
      // Behind the last frame, the bytes are those of a frame that was being written.
      const left = log.frames.slice(0, offset < END ? FRAMES - 1 : FRAMES)
      expect(await reopened(log, withFlippedBit(log.bytes, offset, offset % 8))).toEqual(
        offset < LAST_FRAME_AT ? 'damage' : left,
      )
    }
  })

  test('the last frame written up to any byte → it is cut, the others are there', async () => {
    const log = await written('unclean')
    for (let offset = LAST_FRAME_AT; offset < END; offset += 1) {
      expect(await reopened(log, withZerosFrom(log.bytes, offset))).toEqual(
        log.frames.slice(0, FRAMES - 1),
      )
    }
    expect(await reopened(log, withZerosFrom(log.bytes, END))).toEqual(log.frames)
  })

  test('the last frame written from any byte on → it is cut, the others are there', async () => {
    const log = await written('unclean')
    for (let offset = LAST_FRAME_AT + 1; offset <= END; offset += 1) {
      const late = Buffer.from(log.bytes)
      late.fill(0, LAST_FRAME_AT, offset)
      expect(await reopened(log, late)).toEqual(log.frames.slice(0, FRAMES - 1))
    }
  })

  test('the file truncated at any byte → damage: no crash makes a segment shorter', async () => {
    const log = await written('unclean')
    for (let length = 0; length < log.bytes.length; length += 1) {
      expect(await reopened(log, log.bytes.subarray(0, length))).toBe('damage')
    }
  })

  test('a torn frame that was cut → stays cut, and another takes its place', async () => {
    const log = await written('unclean')
    log.disk.place(PATH, withZerosFrom(log.bytes, END - 1))
    const { log: cut } = await openOn(log.disk)
    const other = await append(cut, 'other')
    log.disk.cutPower(() => 0)
    expect((await openOn(log.disk)).frames).toEqual([...log.frames.slice(0, FRAMES - 1), other])
  })
})

describe('log: every byte of frames that were closed', () => {
  test('a flipped bit → damage, wherever it is', async () => {
    const log = await written('clean')
    for (let offset = SEGMENT_HEADER_BYTES; offset < log.bytes.length; offset += 1) {
      const outcome = await reopened(log, withFlippedBit(log.bytes, offset, 7 - (offset % 8)))
      expect(outcome).toBe('damage')
    }
  })

  test('its end missing from any byte on → damage', async () => {
    const log = await written('clean')
    for (let offset = SEGMENT_HEADER_BYTES; offset < END; offset += 1) {
      expect(await reopened(log, withZerosFrom(log.bytes, offset))).toBe('damage')
    }
    expect(await reopened(log, log.bytes)).toEqual(log.frames)
  })
})

describe('log: every byte of the frames in an earlier segment', () => {
  test('a flipped bit → damage when it is read', async () => {
    const disk = new SimulatedDisk()
    const log = await Log.create(optionsOn(disk))
    while (log.bytesOnDisk === 4608 || log.lastRevision < 10) await append(log, 'x'.repeat(20))
    await append(log, 'x'.repeat(300))
    disk.kill()
    const bytes = disk.bytesOf(PATH)
    for (let offset = SEGMENT_HEADER_BYTES; offset < bytes.length; offset += 1) {
      disk.place(PATH, withFlippedBit(bytes, offset, offset % 8))
      await expect(openOn(disk)).rejects.toBeInstanceOf(LogDamage)
      disk.kill()
    }
  })
})

describe('log: the report of damage', () => {
  test('damage → names the file, the byte and the case, and changes nothing on disk', async () => {
    const log = await written('unclean')
    const bytes = withFlippedBit(log.bytes, SEGMENT_HEADER_BYTES + FRAME_BYTES + 5, 3)
    log.disk.place(PATH, bytes)
    await expect(openOn(log.disk)).rejects.toMatchObject({
      name: 'LogDamage',
      damage: 'bad-frame',
      file: PATH,
      offsetBytes: SEGMENT_HEADER_BYTES + FRAME_BYTES,
    })
    expect(log.disk.paths()).toEqual([PATH])
    expect(log.disk.bytesOf(PATH)).toEqual(bytes)
  })
})
