import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeFrame,
  encodeFrame,
  findFrame,
  FRAME_HEADER_BYTES,
  isUsableSalt,
  type FrameHeader,
} from './frame.js'

const SALT = 0x1234_5678

const header: FrameHeader = {
  epoch: 3,
  firstRevision: 2 ** 40 + 1,
  count: 2,
  timeMs: 1_700_000_000_000,
  previousChecksum: 0xdead_beef,
  jump: true,
}

function encoded(body: Uint8Array, fields: FrameHeader = header, salt = SALT): Buffer {
  const buffer = Buffer.alloc(FRAME_HEADER_BYTES + body.length)
  buffer.set(body, FRAME_HEADER_BYTES)
  encodeFrame(buffer, body.length, fields, salt)
  return buffer
}

const safeInteger = fc.maxSafeNat()
const headers: fc.Arbitrary<FrameHeader> = fc
  .record({
    epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    firstRevision: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    count: fc.integer({ min: 1, max: 0xffff_ffff }),
    timeMs: safeInteger,
    previousChecksum: fc.nat(0xffff_ffff),
    jump: fc.boolean(),
  })
  .filter(({ firstRevision, count }) => Number.isSafeInteger(firstRevision + count - 1))

describe('frame', () => {
  test('the bytes of a frame → are these, in every version', () => {
    expect(encoded(Buffer.from('hi')).toString('hex')).toBe(
      '1330467f' + // magic, salted
        'b25f5a15' + // checksum, salted
        '02000000' + // body bytes
        'efbeadde' + // previous checksum
        '0300000000000000' + // epoch
        '0100000000010000' + // first revision
        '0068e5cf8b010000' + // time
        '02000000' + // count
        '01000000' + // flags: jump
        '6869',
    )
  })

  test('any frame → decodes to what was encoded', () => {
    fc.assert(
      fc.property(headers, fc.uint8Array({ maxLength: 200 }), fc.nat(100), (fields, body, at) => {
        const frame = encoded(body, fields)
        const source = Buffer.concat([Buffer.alloc(at, 0xff), frame, Buffer.alloc(9)])
        const decoded = decodeFrame(source, at, SALT)
        expect(decoded?.frameBytes).toBe(frame.length)
        expect(decoded?.frame).toMatchObject({ ...fields, body: Buffer.from(body) })
      }),
    )
  })

  test('any bit flipped → no frame', () => {
    const frame = encoded(Buffer.from('a body of some bytes'))
    for (let bit = 0; bit < frame.length * 8; bit += 1) {
      const flipped = Buffer.concat([frame, Buffer.alloc(64)])
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeFrame(flipped, 0, SALT)).toBeUndefined()
    }
  })

  test('cut short at any byte → no frame', () => {
    const frame = encoded(Buffer.from('a body of some bytes'))
    for (let length = 0; length < frame.length; length += 1) {
      expect(decodeFrame(frame.subarray(0, length), 0, SALT)).toBeUndefined()
    }
  })

  test('the same frame under another salt → has the same checksum but is not found', () => {
    const one = encoded(Buffer.from('hi'))
    const other = encoded(Buffer.from('hi'), header, SALT + 1)
    expect(decodeFrame(one, 0, SALT)?.frame.checksum).toBe(
      decodeFrame(other, 0, SALT + 1)?.frame.checksum,
    )
    expect(findFrame(other, 0, SALT)).toBeUndefined()
  })

  test('findFrame → passes over a mark that begins no valid frame', () => {
    const frame = encoded(Buffer.from('hi'))
    const source = Buffer.concat([frame.subarray(0, 30), frame.subarray(0, 4), frame])
    expect(findFrame(source, 0, SALT)).toBe(34)
    expect(findFrame(source, 35, SALT)).toBeUndefined()
  })

  test('a salt that leaves a zero byte in the mark → not usable', () => {
    const plain = Buffer.alloc(FRAME_HEADER_BYTES)
    encodeFrame(plain, 0, header, 0)
    const magic = plain.readUInt32LE(0)
    expect(isUsableSalt(0)).toBe(true)
    expect(isUsableSalt(magic)).toBe(false)
    expect(isUsableSalt(magic & 0xff)).toBe(false)
  })
})
