import { compareKeys, KEY_BYTES_MAX } from '@kv/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isEmptyRange, keyRangeOf, restAfter, shardsUnder } from './range.js'

const anyKey = fc.string({ unit: 'grapheme', maxLength: 4 })
const anyRange = fc.record(
  { prefix: anyKey, gt: anyKey, gte: anyKey, lt: anyKey, lte: anyKey },
  { requiredKeys: [] },
)

test('range: prefix and bounds → exactly the keys that all of them admit', () => {
  fc.assert(
    fc.property(anyRange, anyKey, (range, key) => {
      const { from, to } = keyRangeOf(range)
      const isInside = compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0)
      const { prefix, gt, gte, lt, lte } = range
      const isAdmitted =
        key.startsWith(prefix ?? '') &&
        (gt === undefined || compareKeys(key, gt) > 0) &&
        (gte === undefined || compareKeys(key, gte) >= 0) &&
        (lt === undefined || compareKeys(key, lt) < 0) &&
        (lte === undefined || compareKeys(key, lte) <= 0)
      expect(isInside).toBe(isAdmitted)
      expect(isAdmitted && isEmptyRange({ from, to })).toBe(false)
    }),
  )
})

test('rest after a key: forwards what is behind it, in reverse what is before it', () => {
  const range = { from: 'b', to: 'y' }
  expect(restAfter(range, 'm', false)).toEqual({ from: 'm\0', to: 'y' })
  expect(restAfter(range, 'm', true)).toEqual({ from: 'b', to: 'm' })
  expect(restAfter(range, 'a', false)).toEqual(range)
  expect(restAfter(range, 'z', true)).toEqual(range)
})

test('range: a bound that is no key → TypeError or INVALID_KEY', () => {
  expect(() => keyRangeOf({ gt: 5 as unknown as string })).toThrow(TypeError)
  expect(() => keyRangeOf({ prefix: null as unknown as string })).toThrow(TypeError)
  const invalid = expect.objectContaining({ code: 'INVALID_KEY' })
  expect(() => keyRangeOf({ lt: 'x'.repeat(KEY_BYTES_MAX + 1) })).toThrow(invalid)
  expect(() => keyRangeOf({ lte: '\ud800' })).toThrow(invalid)
})

test('range: a string in place of an object → TypeError, never every key', () => {
  expect(() => keyRangeOf('user:' as unknown as object)).toThrow(/a range is an object/)
})

test('shards under a prefix: all, unless it holds the whole tag', () => {
  expect(shardsUnder(undefined, 4)).toEqual([0, 1, 2, 3])
  expect(shardsUnder('user:{4', 4)).toEqual([0, 1, 2, 3])
  expect(shardsUnder('user:{}', 4)).toEqual([0, 1, 2, 3])
  expect(shardsUnder('user:{42}:', 4)).toHaveLength(1)
})
