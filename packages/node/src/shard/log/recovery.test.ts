import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { encodeFrame, FRAME_HEADER_BYTES, type FrameHeader } from './frame.js'
import { LOG_START, type LogPosition } from './position.js'
import { cutSegment, recoverSegment, type SegmentPlace } from './recovery.js'
import { SEGMENT_HEADER_BYTES } from './segment-header.js'

const SALT = 0x1234_5678
const FRAME_BYTES = FRAME_HEADER_BYTES + 20
const ROOM = Buffer.alloc(300)

interface Chain {
  readonly frames: Buffer[]
  readonly end: LogPosition
}

/** Frames of two revisions each that follow each other, after changes to their fields. */
function chain(...changes: Partial<FrameHeader>[]): Chain {
  let end = LOG_START
  const frames = changes.map((change) => {
    const buffer = Buffer.alloc(FRAME_BYTES, 0x61)
    const header: FrameHeader = {
      epoch: Math.max(end.epoch, 1),
      firstRevision: end.revision + 1,
      count: 2,
      timeMs: 1,
      previousChecksum: end.checksum,
      jump: false,
      ...change,
    }
    const checksum = encodeFrame(buffer, 20, header, SALT)
    end = { epoch: header.epoch, revision: header.firstRevision + header.count - 1, checksum }
    return buffer
  })
  return { frames, end }
}

function recover(parts: readonly Buffer[], place: SegmentPlace): ReturnType<typeof recoverSegment> {
  const bytes = Buffer.concat([Buffer.alloc(SEGMENT_HEADER_BYTES), ...parts, ROOM])
  return recoverSegment(bytes, { salt: SALT, previous: LOG_START, place })
}

const offsetOf = (index: number): number => SEGMENT_HEADER_BYTES + index * FRAME_BYTES

describe('recovery: what lies behind the last good frame', () => {
  const { frames, end } = chain({}, {}, {})
  const [first = ROOM, second = ROOM, third = ROOM] = frames
  const { end: endOfTwo } = chain({}, {})
  const places: Record<SegmentPlace['kind'], (end: LogPosition) => SegmentPlace> = {
    complete: (position) => ({ kind: 'complete', end: position }),
    closed: (position) => ({ kind: 'closed', end: position }),
    open: () => ({ kind: 'open' }),
  }
  const torn = Buffer.concat([third.subarray(0, 50), Buffer.alloc(18)])
  const damagedSecond = Buffer.from(second)
  damagedSecond[60]! ^= 1

  test.each(['complete', 'closed', 'open'] as const)('%s: zeros → the end', (kind) => {
    expect(recover(frames, places[kind](end))).toMatchObject({
      kind: 'whole',
      end,
      endBytes: offsetOf(3),
    })
  })

  test('open: the remains of a frame → torn, cut before it', () => {
    const outcome = recover([first, second, torn], { kind: 'open' })
    expect(outcome).toMatchObject({ kind: 'torn', end: endOfTwo, endBytes: offsetOf(2) })
  })

  test('open: only later sectors of a frame → torn, cut before it', () => {
    const late = Buffer.concat([Buffer.alloc(40), third.subarray(40)])
    const outcome = recover([first, second, late], { kind: 'open' })
    expect(outcome).toMatchObject({ kind: 'torn', end: endOfTwo, endBytes: offsetOf(2) })
  })

  test.each(['complete', 'closed'] as const)('%s: the remains of a frame → damage', (kind) => {
    expect(recover([first, second, torn], places[kind](endOfTwo))).toEqual({
      kind: 'damaged',
      damage: 'bad-frame-in-closed-segment',
      offsetBytes: offsetOf(2),
    })
  })

  test.each(['complete', 'closed', 'open'] as const)(
    '%s: a bad frame before a good one → damage',
    (kind) => {
      for (const bad of [damagedSecond, Buffer.alloc(FRAME_BYTES)]) {
        expect(recover([first, bad, third], places[kind](end))).toEqual({
          kind: 'damaged',
          damage: 'bad-frame',
          offsetBytes: offsetOf(1),
        })
      }
    },
  )

  test.each(['complete', 'closed'] as const)('%s: frames missing at the end → damage', (kind) => {
    expect(recover([first, second], places[kind](end))).toMatchObject({ damage: 'wrong-end' })
  })

  test.each(['complete', 'closed'] as const)('%s: frames beyond the end → damage', (kind) => {
    expect(recover(frames, places[kind](endOfTwo))).toMatchObject({ damage: 'wrong-end' })
  })

  test('a look-alike inside a value → is not taken for a frame', () => {
    const lookAlike = Buffer.from(first)
    encodeFrame(lookAlike, 20, { ...frameFields, firstRevision: 1 }, SALT + 1)
    const tornValue = Buffer.concat([third.subarray(0, 50), lookAlike])
    expect(recover([first, second, tornValue], { kind: 'open' })).toMatchObject({ kind: 'torn' })
  })

  const frameFields = { epoch: 1, count: 1, timeMs: 1, previousChecksum: 0, jump: false }
})

describe('recovery: valid frames that do not follow each other', () => {
  test.each<[string, Partial<FrameHeader>]>([
    ['revision-gap', { firstRevision: 4 }],
    ['revision-gap', { firstRevision: 4, jump: true }],
    ['revision-gap', { epoch: 9, firstRevision: 4 }],
    ['revision-repeated', { firstRevision: 2 }],
    ['older-epoch', { epoch: 3 }],
    ['broken-chain', { previousChecksum: 1 }],
    ['wrong-jump', { epoch: 9, jump: true }],
  ])('%s → damage, also in the last frame', (damage, change) => {
    const { frames } = chain({ epoch: 4 }, change)
    const outcome = recover(frames, { kind: 'open' })
    expect(outcome).toEqual({ kind: 'damaged', damage, offsetBytes: offsetOf(1) })
  })

  test('unknown-flags → damage, never read as if they were not there', () => {
    const { frames } = chain({}, {})
    const frame = frames[1]!
    frame.writeUInt32LE(2, 44)
    frame.writeUInt32LE((crc32(frame.subarray(8)) ^ SALT) >>> 0, 4)
    expect(recover(frames, { kind: 'open' })).toEqual({
      kind: 'damaged',
      damage: 'unknown-flags',
      offsetBytes: offsetOf(1),
    })
  })

  test('a recorded jump of a later epoch → no damage', () => {
    const { frames, end } = chain({}, { epoch: 2, firstRevision: 100, jump: true }, {})
    expect(recover(frames, { kind: 'closed', end })).toMatchObject({ kind: 'whole', end })
    expect(end.revision).toBe(103)
  })
})

describe('recovery: cut', () => {
  test('a revision that ends a frame → what is kept ends there; any other → nothing', () => {
    const { frames } = chain({}, {}, {})
    const whole = recover(frames, { kind: 'open' })
    if (whole.kind === 'damaged') throw new Error(whole.damage)
    const kept = [0, 1, 2, 3, 4, 5, 6, 7].map((cutAfter) => {
      return cutSegment(whole, LOG_START, cutAfter)?.endBytes
    })
    const [none, one, two, three] = [0, 1, 2, 3].map(offsetOf)
    expect(kept).toEqual([none, undefined, one, undefined, two, undefined, three, undefined])
  })
})
