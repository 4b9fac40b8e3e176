import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assertKey,
  compareKeys,
  isWellFormed,
  keyAfter,
  prefixEnd,
  routeHash,
  shardOf,
  utf8Length,
} from './keys.js'
import { KEY_BYTES_MAX } from './limits.js'

/** Around every border: of UTF-8 lengths, of surrogates, of the code space. */
const BORDER_POINTS = [
  0, 0x61, 0x7e, 0x7f, 0x80, 0x7ff, 0x800, 0xd7fe, 0xd7ff, 0xe000, 0xfffe, 0xffff, 0x1_0000,
  0x1_03ff, 0x1_0400, 0x10_fffe, 0x10_ffff,
]

const borderText = fc
  .array(fc.constantFrom(...BORDER_POINTS), { maxLength: 6 })
  .map((points) => String.fromCodePoint(...points))
const anyKey = fc.oneof(borderText, fc.string({ unit: 'binary' }), fc.string())

describe('keys: which are legal', () => {
  test.each([
    ['one character', 'a'],
    ['the most bytes in ASCII', 'a'.repeat(KEY_BYTES_MAX)],
    ['the most bytes in three-byte characters', `${'€'.repeat(682)}aa`],
    ['the most bytes in four-byte characters', '😀'.repeat(512)],
    ['a NUL', '\0'],
    ['the last character', '\u{10ffff}'],
  ])('keys: %s → accepted', (_, key) => {
    expect(() => assertKey(key)).not.toThrow()
  })

  test.each([
    ['the empty string', ''],
    ['a byte too many in ASCII', 'a'.repeat(KEY_BYTES_MAX + 1)],
    ['a byte too many in two-byte characters', `${'é'.repeat(1_024)}a`],
    ['a byte too many in three-byte characters', `${'€'.repeat(682)}aaa`],
    ['a high surrogate at the end', 'a\ud800'],
    ['a low surrogate first', '\udc00a'],
    ['two high surrogates', '\ud800\ud800\udc00'],
    ['a lone surrogate in long text', `${'a'.repeat(100)}\ud800b`],
  ])('keys: %s → INVALID_KEY', (_, key) => {
    expect(() => assertKey(key)).toThrow(
      expect.objectContaining({ code: 'INVALID_KEY', outcome: 'not-applied', retryable: false }),
    )
  })

  test.each([1, null, undefined, {}, ['a'], Symbol('a')])(
    'keys: not a string → TypeError',
    (key) => {
      expect(() => assertKey(key)).toThrow(TypeError)
    },
  )

  test('keys: well-formed text → exactly what UTF-8 carries there and back', () => {
    const units = fc.array(
      fc.oneof(fc.integer({ min: 0xd700, max: 0xe100 }), fc.integer({ min: 0, max: 0xffff })),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(units, (codes) => {
        const text = String.fromCharCode(...codes)
        expect(isWellFormed(text)).toBe(Buffer.from(text).toString() === text)
      }),
      { numRuns: 1_000 },
    )
  })

  test('keys: utf8Length → what Buffer counts', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(utf8Length(key)).toBe(Buffer.byteLength(key))
      }),
    )
  })
})

describe('keys: order', () => {
  test('keys: any two → ordered as the bytes of their UTF-8', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (left, right) => {
        const byBytes = Buffer.compare(Buffer.from(left), Buffer.from(right))
        expect(Math.sign(compareKeys(left, right))).toBe(byBytes)
      }),
      { numRuns: 2_000 },
    )
  })

  test('keys: keyAfter → nothing is between', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (key, other) => {
        expect(compareKeys(key, keyAfter(key))).toBeLessThan(0)
        const isAfter = compareKeys(other, key) > 0
        expect(isAfter).toBe(compareKeys(other, keyAfter(key)) >= 0)
      }),
    )
  })

  test('keys: prefixEnd → exactly the keys with the prefix are from it to its end', () => {
    fc.assert(
      fc.property(anyKey, anyKey, fc.boolean(), (prefix, other, extend) => {
        const key = extend ? prefix + other : other
        const end = prefixEnd(prefix)
        const isInRange =
          compareKeys(key, prefix) >= 0 && (end === undefined || compareKeys(key, end) < 0)
        expect(isInRange).toBe(key.startsWith(prefix))
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['', undefined],
    ['\u{10ffff}', undefined],
    ['a', 'b'],
    ['a\u{10ffff}', 'b'],
    ['a\ud7ff', 'a\ue000'],
    ['a\uffff', 'a\u{10000}'],
  ])('keys: prefixEnd of %j → %j', (prefix, end) => {
    expect(prefixEnd(prefix)).toBe(end)
  })
})

describe('keys: routing', () => {
  // Published with seed 0 for MurmurHash3 x86 32-bit.
  test.each<[string, number]>([
    ['', 0],
    ['a', 0x3c25_69b2],
    ['test', 0xba6b_d213],
    ['abc', 0xb3dd_93fa],
    ['abcd', 0x43ed_676a],
    ['abcde', 0xe89b_9af6],
    ['Hello, world!', 0xc036_3e43],
    ['The quick brown fox jumps over the lazy dog', 0x2e4f_f723],
  ])('keys: MurmurHash3 of %j → %d', (text, hash) => {
    expect(routeHash(text)).toBe(hash)
  })

  test('keys: any text → the hash of its UTF-8, as computed on the bytes', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        fc.pre(!key.includes('{'))
        expect(routeHash(key)).toBe(murmur3(Buffer.from(key)))
      }),
    )
  })

  // The rules of Redis Cluster: the first `{`, the next `}` after it, if there is something between.
  test.each([
    ['{user1000}.following', 'user1000'],
    ['{user1000}.followers', 'user1000'],
    ['foo{}{bar}', 'foo{}{bar}'],
    ['foo{{bar}}zap', '{bar'],
    ['foo{bar}{zap}', 'bar'],
    ['foo{bar', 'foo{bar'],
    ['foo}bar{', 'foo}bar{'],
    ['}{a}', 'a'],
    ['a{ü}', 'ü'],
  ])('keys: %j → routed by %j', (key, routed) => {
    expect(routeHash(key)).toBe(murmur3(Buffer.from(routed)))
  })

  test('keys: many similar keys → spread evenly over the shards', () => {
    for (const shardCount of [1, 2, 16, 64]) {
      const counts = Array.from({ length: shardCount }, () => 0)
      const keyCount = shardCount * 1_000
      for (let index = 0; index < keyCount; index += 1) {
        const shard = shardOf(`user:${index}`, shardCount)
        counts[shard] = (counts[shard] ?? 0) + 1
      }
      // Six standard deviations of a fair spread.
      for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(6 * Math.sqrt(1_000))
    }
  })
})

/** As in the reference implementation, byte by byte. */
function murmur3(bytes: Buffer): number {
  let hash = 0
  const blockBytes = bytes.length - (bytes.length % 4)
  const scramble = (block: number): number => {
    const mixed = Math.imul(block, 0xcc9e2d51)
    return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
  }
  for (let index = 0; index < blockBytes; index += 4) {
    hash ^= scramble(bytes.readInt32LE(index))
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let index = bytes.length - 1; index >= blockBytes; index -= 1) {
    tail = (tail << 8) | (bytes[index] ?? 0)
  }
  hash ^= scramble(tail)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
