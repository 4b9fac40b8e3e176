import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KEY_PARTS, textHeld, textOf } from '../testing/entries.js'
import {
  encodeStored,
  FoundEntry,
  indexKey,
  readIndexKey,
  StateDamage,
  stateDamageIn,
  storedBytes,
} from './stored-entry.js'

describe('stored entry: bytes', () => {
  test('any value, version and expiry → found as stored, wherever it lies', () => {
    const property = fc.property(
      fc.string(),
      fc.maxSafeNat(),
      fc.maxSafeNat(),
      fc.nat(20),
      (text, version, expiresAt, position) => {
        const held = textHeld(text, version, { expiresAt })
        const target = Buffer.alloc(position + storedBytes(held) + 5)
        const stored = encodeStored(held, target, position)
        const found = new FoundEntry().point(stored, stored.length, 'a')
        expect(found).toMatchObject({ version, expiresAt })
        expect(textOf(found)).toBe(text)
      },
    )
    fc.assert(property)
  })

  test('a value in plain bytes, not a Buffer → stored alike', () => {
    const memory = { bytes: Uint8Array.of(1, 2, 3, 4) }
    const held = { version: 1, expiresAt: 0, memory, start: 1, end: 3 }
    const stored = encodeStored(held, Buffer.alloc(storedBytes(held)), 0)
    expect([...stored.subarray(-2)]).toEqual([2, 3])
  })

  test('P8: any byte changed → damage, named by its key', () => {
    const held = textHeld('value', 5, { expiresAt: 9 })
    const stored = encodeStored(held, Buffer.alloc(storedBytes(held)), 0)
    for (let at = 0; at < stored.length; at += 1) {
      const damaged = Buffer.from(stored)
      damaged[at] = (damaged[at] as number) ^ 0x10
      expect(() => new FoundEntry().point(damaged, damaged.length, 'k')).toThrow(StateDamage)
    }
  })

  test('P8: cut anywhere → damage', () => {
    const held = textHeld('value')
    const stored = encodeStored(held, Buffer.alloc(storedBytes(held)), 0)
    for (let length = 0; length < stored.length; length += 1) {
      expect(() => new FoundEntry().point(stored, length, 'k')).toThrow(/"k" fails its checksum/)
    }
  })
})

describe('stored entry: expiry index', () => {
  const row = fc.record({
    expiresAt: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.maxSafeNat()),
    key: fc.array(fc.constantFrom(...KEY_PARTS), { maxLength: 3 }).map((parts) => parts.join('')),
  })

  test('any two rows → ordered by time, then by key', () => {
    const property = fc.property(row, row, (left, right) => {
      const order = Buffer.compare(
        indexKey(left.expiresAt, left.key),
        indexKey(right.expiresAt, right.key),
      )
      const due =
        Math.sign(left.expiresAt - right.expiresAt) ||
        Buffer.compare(Buffer.from(left.key), Buffer.from(right.key))
      expect(order).toBe(due)
    })
    fc.assert(property)
  })

  test('any row → read as written', () => {
    fc.assert(
      fc.property(row, (each) => {
        expect(readIndexKey(indexKey(each.expiresAt, each.key))).toEqual(each)
      }),
    )
  })
})

describe('stored entry: what counts as damage', () => {
  test.each(['MDB_CORRUPTED: page', 'MDB_INVALID: not an LMDB file', 'MDB_PAGE_NOTFOUND: x'])(
    'LMDB says %s → damage, with the reason kept',
    (message) => {
      const cause = new Error(message)
      expect(stateDamageIn(cause)).toMatchObject({ name: 'StateDamage', cause })
    },
  )

  test('anything else → not', () => {
    expect(stateDamageIn(new Error('Input/output error'))).toBeUndefined()
    expect(stateDamageIn(new Error('MDB_MAP_FULL'))).toBeUndefined()
    const damage = new StateDamage('x')
    expect(stateDamageIn(damage)).toBe(damage)
  })
})
