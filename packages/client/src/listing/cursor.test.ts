import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCursor, encodeCursor } from './cursor.js'

const RANGE = { from: 'a', to: 'b' }

test('cursor: any key → comes back, in characters that need no escaping in a URL', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.boolean(), (key, reverse) => {
      const cursor = encodeCursor(RANGE, reverse, key)
      expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/)
      expect(decodeCursor(cursor, RANGE, reverse)).toBe(key)
    }),
  )
})

test('cursor: of another range or direction → INVALID_CURSOR', () => {
  const cursor = encodeCursor(RANGE, false, 'ab')
  const invalid = expect.objectContaining({ code: 'INVALID_CURSOR', outcome: 'not-applied' })
  expect(() => decodeCursor(cursor, RANGE, true)).toThrow(invalid)
  expect(() => decodeCursor(cursor, { from: 'a', to: undefined }, false)).toThrow(invalid)
  expect(() => decodeCursor(cursor, { from: 'aa', to: 'b' }, false)).toThrow(invalid)
})

test('cursor: any other text → INVALID_CURSOR; no text → TypeError', () => {
  const invalid = expect.objectContaining({ code: 'INVALID_CURSOR' })
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => decodeCursor(text, RANGE, false)).toThrow(invalid)
    }),
  )
  expect(() => decodeCursor(7, RANGE, false)).toThrow(TypeError)
})
