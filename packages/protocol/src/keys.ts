/**
 * Keys: which are legal, how they are ordered, which shard each belongs to.
 *
 * Client and node must agree on all three to the bit: `docs/protocol.md` publishes vectors of
 * `shardOf` and a test holds them.
 */
import { KvError } from './errors.js'
import { KEY_BYTES_MAX } from './limits.js'
import { isSystemKey, ownerOf } from './system-keys.js'

/**
 * Refuses what is not a key: a non-string (`TypeError`), the empty string, one over
 * `KEY_BYTES_MAX` bytes of UTF-8, or one with a lone surrogate (`INVALID_KEY`).
 */
export function assertKey(key: unknown): asserts key is string {
  assertKeyText('a key', key)
  if (key === '') throw new KvError('INVALID_KEY', 'a key must not be empty')
}

/** The same for a prefix or a bound, which may be empty. `name` is what an error calls it. */
export function assertKeyText(name: string, text: unknown): asserts text is string {
  if (typeof text !== 'string') {
    throw new TypeError(`${name} is a string, not ${text === null ? 'null' : typeof text}`)
  }
  // A text this short can only be too long in bytes if it is longer than a third of the limit.
  if (text.length * 3 > KEY_BYTES_MAX && utf8Length(text) > KEY_BYTES_MAX) {
    const bytes = utf8Length(text)
    throw new KvError(
      'INVALID_KEY',
      `${name} has at most ${KEY_BYTES_MAX} bytes of UTF-8; this one has ${bytes}`,
    )
  }
  if (!isWellFormed(text)) {
    throw new KvError('INVALID_KEY', `${name} must not contain a lone surrogate`)
  }
}

/** Of ES2024, so not in every browser; several times faster than the loop on long text. */
const platformCheck = (String.prototype as { isWellFormed?: () => boolean }).isWellFormed

/** Whether every surrogate is half of a pair: only such text has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  if (text.length > 32 && platformCheck !== undefined) return platformCheck.call(text)
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit < 0xd800 || unit > 0xdfff) continue
    const next = text.charCodeAt(index + 1)
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false
    index += 1
  }
  return true
}

/** Bytes of `text` in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    bytes += unit < 0x800 ? 1 : 2
    // A pair is two units and four bytes: one more for each half.
    if (unit >= 0xd800 && unit <= 0xdfff) bytes -= 1
  }
  return bytes
}

/**
 * Order of the UTF-8 bytes, computed on the strings. It differs from JavaScript's own order only
 * where a surrogate (a character above U+FFFF) meets one of U+E000 to U+FFFF.
 */
export function compareKeys(left: string, right: string): number {
  if (left === right) return 0
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index)
    const b = right.charCodeAt(index)
    if (a !== b) return byteRank(a) - byteRank(b)
  }
  return left.length - right.length
}

/** Moves the surrogates above every other unit, where their characters sort in UTF-8. */
function byteRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit
}

/** The first string after `key` in key order. */
export function keyAfter(key: string): string {
  return `${key}\0`
}

/**
 * The first string after every string that begins with `prefix`, or `undefined` if there is none
 * (an empty prefix, or one of only U+10FFFF).
 */
export function prefixEnd(prefix: string): string | undefined {
  const points = Array.from(prefix)
  while (points.length > 0) {
    const last = points.pop()?.codePointAt(0) ?? 0
    if (last < 0x10_ffff) {
      const next = last === 0xd7ff ? 0xe000 : last + 1
      return points.join('') + String.fromCodePoint(next)
    }
  }
  return undefined
}

/**
 * 32-bit hash of the part of the key that routes it: the `{tag}` if there is one (from the first
 * `{` to the next `}`, if not empty, as in Redis Cluster), else the whole key.
 *
 * MurmurHash3 x86 32-bit, seed 0, over the UTF-8 bytes (Austin Appleby, public domain; the
 * reference vectors of SMHasher hold). Its final mix spreads well enough to take the low bits.
 */
export function routeHash(key: string): number {
  // A key of the system is in the shard of the one it belongs to.
  if (isSystemKey(key)) return routeHash(ownerOf(key))
  const open = key.indexOf('{')
  if (open >= 0) {
    const close = key.indexOf('}', open + 1)
    if (close > open + 1) return murmur3(key, open + 1, close)
  }
  return murmur3(key, 0, key.length)
}

/** The shard that holds `key`, of `shardCount` (a power of two). */
export function shardOf(key: string, shardCount: number): number {
  return routeHash(key) & (shardCount - 1)
}

function murmur3(text: string, start: number, end: number): number {
  let hash = 0
  let block = 0
  let bytes = 0
  for (let index = start; index < end; index += 1) {
    let unit = text.charCodeAt(index)
    if (unit < 0x80) {
      block |= unit << ((bytes & 3) << 3)
      bytes += 1
      if ((bytes & 3) === 0) {
        hash = mixBlock(hash, block)
        block = 0
      }
      continue
    }
    let rest: number
    if (unit < 0x800) {
      rest = 1
    } else if (unit < 0xd800 || unit > 0xdbff) {
      rest = 2
    } else {
      index += 1
      unit = 0x1_0000 + ((unit & 0x3ff) << 10) + (text.charCodeAt(index) & 0x3ff)
      rest = 3
    }
    let byte = LEAD[rest]! | (unit >> (6 * rest))
    for (;;) {
      block |= byte << ((bytes & 3) << 3)
      bytes += 1
      if ((bytes & 3) === 0) {
        hash = mixBlock(hash, block)
        block = 0
      }
      if (rest === 0) break
      rest -= 1
      byte = 0x80 | ((unit >> (6 * rest)) & 0x3f)
    }
  }
  if ((bytes & 3) !== 0) hash ^= scramble(block)
  hash ^= bytes
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** First byte's marker of a UTF-8 sequence, by the number of bytes that follow it. */
const LEAD = [0, 0xc0, 0xe0, 0xf0] as const

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e_2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b87_3593)
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe654_6b64) | 0
}
