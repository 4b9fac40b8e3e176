import { describe, expect, test } from 'vitest'
import { decodeClosingMark, encodeClosingMark } from './closing-mark.js'

const end = { epoch: 7, revision: 2 ** 52 + 5, checksum: 0xffff_fffe }

describe('closing mark', () => {
  test('a mark → decodes to the end of the log', () => {
    expect(decodeClosingMark(encodeClosingMark(end))).toEqual(end)
  })

  test('any bit flipped or any byte missing → no mark', () => {
    const mark = encodeClosingMark(end)
    for (let bit = 0; bit < mark.length * 8; bit += 1) {
      const flipped = Buffer.from(mark)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeClosingMark(flipped)).toBeUndefined()
    }
    for (let length = 0; length < mark.length; length += 1) {
      expect(decodeClosingMark(mark.subarray(0, length))).toBeUndefined()
    }
  })
})
