import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { EPOCH_STARTS_MAX, withEpoch, type EpochStart } from './epoch-table.js'
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.js'
import type { SegmentHeader } from './segment-header.js'

const header: SegmentHeader = {
  clusterId: '0190c0de-0000-7000-8000-00000000002a',
  shard: 4_000_000_000,
  salt: 0x1234_5678,
  capacityBytes: 8 * 1024 * 1024,
  ordinal: 12,
  previous: { epoch: 3, revision: 2 ** 50, checksum: 0xfedc_ba98 },
  epochs: [
    { epoch: 1, firstRevision: 1 },
    { epoch: 3, firstRevision: 900 },
  ],
}

function sealed(change: (block: Buffer) => void): Buffer {
  const block = encodeSegmentHeader(header)
  change(block)
  block.writeUInt32LE(crc32(block.subarray(12)), 8)
  return block
}

describe('segment header', () => {
  test('any header → decodes to what was encoded', () => {
    for (const each of [header, { ...header, clusterId: '', epochs: [] }]) {
      const block = encodeSegmentHeader(each)
      expect(block).toHaveLength(SEGMENT_HEADER_BYTES)
      expect(decodeSegmentHeader(block)).toEqual({ kind: 'header', header: each })
    }
  })

  test('the first bytes → are these, in every version', () => {
    const block = encodeSegmentHeader(header)
    expect(block.toString('latin1', 0, 8)).toBe('kvlogseg')
    expect(block.toString('hex', 12, 32)).toBe(
      '01000000' + '00000000' + '78563412' + '00286bee' + '24000000',
    )
  })

  test('any bit flipped → damaged, never another header', () => {
    const block = encodeSegmentHeader(header)
    const outcomes = new Set<string>()
    for (let bit = 0; bit < block.length * 8; bit += 1) {
      block[bit >> 3]! ^= 1 << (bit & 7)
      outcomes.add(decodeSegmentHeader(block).kind)
      block[bit >> 3]! ^= 1 << (bit & 7)
    }
    expect([...outcomes]).toEqual(['damaged'])
  })

  test('cut short → damaged', () => {
    expect(decodeSegmentHeader(encodeSegmentHeader(header).subarray(0, -1)).kind).toBe('damaged')
  })

  test('a later version or an unknown feature → told apart from damage', () => {
    const later = sealed((block) => block.writeUInt32LE(2, 12))
    expect(decodeSegmentHeader(later)).toEqual({ kind: 'unknown-version', version: 2 })
    const foreign = sealed((block) => block.writeUInt32LE(0x8000_0001, 16))
    expect(decodeSegmentHeader(foreign)).toEqual({
      kind: 'unknown-features',
      features: 0x8000_0001,
    })
  })

  test.each<[string, (block: Buffer) => void]>([
    ['a cluster id too long', (block) => block.writeUInt8(37, 28)],
    ['too many epochs', (block) => block.writeUInt32LE(EPOCH_STARTS_MAX + 1, 104)],
    ['epochs out of order', (block) => block.writeUInt32LE(3, 112)],
    ['a number of 2^53', (block) => block.writeUInt32LE(0x20_0000, 84)],
    ['a salt that hides the mark', (block) => block.writeUInt32LE(0x6d72_666b, 20)],
  ])('%s under a good checksum → damaged', (_name, change) => {
    expect(decodeSegmentHeader(sealed(change)).kind).toBe('damaged')
  })

  test('the epoch table → forgets the oldest epochs when it is full, and fits the header', () => {
    let epochs: readonly EpochStart[] = []
    for (let epoch = 1; epoch <= EPOCH_STARTS_MAX + 3; epoch += 1) {
      epochs = withEpoch(withEpoch(epochs, epoch, epoch * 10), epoch, epoch * 10 + 1)
    }
    expect(epochs).toHaveLength(EPOCH_STARTS_MAX)
    expect(epochs[0]).toEqual({ epoch: 4, firstRevision: 40 })
    const full = { ...header, epochs }
    expect(decodeSegmentHeader(encodeSegmentHeader(full))).toEqual({ kind: 'header', header: full })
  })
})
