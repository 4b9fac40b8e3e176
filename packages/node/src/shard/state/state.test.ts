import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Held } from '../held.js'
import { tombstone } from '../held.js'
import { inDirectory } from '../testing/directory.js'
import { KEY_PARTS, keysInRange, LONGEST_KEY, textHeld, textOf } from '../testing/entries.js'
import { ReadCache } from './read-cache.js'
import { State } from './state.js'
import { StateDamage } from './stored-entry.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 3 }
const LATEST_MS = 2 ** 52

function withState(use: (state: State, directory: string) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const state = State.open(directory, IDENTITY)
    try {
      await use(state, directory)
    } finally {
      await state.close()
    }
  })
}

async function store(
  state: State,
  entries: Iterable<readonly [string, Held]>,
  marks?: { readonly applyingRevision: number },
): Promise<void> {
  await state.write(
    Array.from(entries, ([key, held]) => ({ key, held })),
    marks,
  )
  state.refresh()
}

function keysOf(state: State, from = '', to?: string, reverse = false): string[] {
  return Array.from(state.range(from, to, reverse), ({ key }) => key)
}

function rowsOf(state: State, nowMs = LATEST_MS): [number, string][] {
  return Array.from(state.due(nowMs, undefined), ({ expiresAt, key }) => [expiresAt, key])
}

describe('state: entries', () => {
  test('any entries → found as stored, and after reopening', () =>
    inDirectory(async (directory) => {
      const key = fc
        .array(fc.constantFrom(...KEY_PARTS), { minLength: 1, maxLength: 6 })
        .map((parts) => parts.join(''))
      const value = fc.record({
        text: fc.string({ maxLength: 5_000 }),
        version: fc.integer({ min: 1 }),
        expiresAt: fc.oneof(fc.constant(0), fc.integer({ min: 1 })),
      })
      const model = new Map<string, { text: string; version: number; expiresAt: number }>()
      let state = State.open(directory, IDENTITY)
      const check = (): void => {
        for (const [name, due] of model) {
          const found = state.get(name)
          expect({ ...due, text: textOf(found) }).toEqual(due)
          expect(found).toMatchObject({ version: due.version, expiresAt: due.expiresAt })
        }
        expect(state.entryCount).toBe(model.size)
      }
      for (const entries of fc.sample(fc.dictionary(key, value), 25)) {
        await store(
          state,
          Object.entries(entries).map(([name, { text, version, expiresAt }]) => [
            name,
            textHeld(text, version, { expiresAt }),
          ]),
          { applyingRevision: 1 },
        )
        for (const [name, entry] of Object.entries(entries)) model.set(name, entry)
        check()
      }
      await state.close()
      state = State.open(directory, IDENTITY)
      check()
      await state.close()
    }))

  test('entries read lately, then replaced, at any moment of the write → never read as they were', () =>
    inDirectory(async (directory) => {
      const cache = new ReadCache(65_536)
      const state = State.open(directory, IDENTITY, undefined, cache)
      const other = State.open(join(directory, 'other'), IDENTITY, undefined, cache)
      await store(other, [['a', textHeld('of the other', 9)]])
      for (let version = 1; version <= 20; version += 1) {
        const isLast = version === 20
        const writing = state.write([
          { key: 'a', held: isLast ? tombstone(version) : textHeld(`v${version}`, version) },
        ])
        let isDone = false
        void writing.then(() => (isDone = true))
        while (!isDone) {
          expect([undefined, `v${version - 1}`, `v${version}`]).toContain(textOf(state.get('a')))
          await nextTurn()
        }
        expect(textOf(state.get('a'))).toBe(isLast ? undefined : `v${version}`)
        expect(textOf(other.get('a'))).toBe('of the other')
      }
      await state.close()
      await other.close()
    }))

  test('a key never stored, or deleted → nothing', () =>
    withState(async (state) => {
      await store(state, [['a', textHeld('x')]])
      await store(state, [
        ['a', tombstone(2)],
        ['never', tombstone(3)],
      ])
      expect(state.get('a')).toBeUndefined()
      expect(state.get('b')).toBeUndefined()
      expect(state.entryCount).toBe(0)
    }))

  test('the longest key, with an expiry → stored, indexed and found', () =>
    withState(async (state) => {
      await store(state, [[LONGEST_KEY, textHeld('x', 1, { expiresAt: 5 })]])
      expect(textOf(state.get(LONGEST_KEY))).toBe('x')
      expect(rowsOf(state)).toEqual([[5, LONGEST_KEY]])
    }))

  test('an empty value and one of a mebibyte → whole', () =>
    withState(async (state) => {
      const large = 'y'.repeat(1_048_576)
      await store(state, [
        ['empty', textHeld('')],
        ['large', textHeld(large)],
      ])
      expect(textOf(state.get('empty'))).toBe('')
      expect(textOf(state.get('large')) === large).toBe(true)
    }))
})

describe('state: order', () => {
  test('any bounds, both directions → the order of UTF-8 bytes', () =>
    withState(async (state) => {
      const keys = [
        ...KEY_PARTS,
        ...KEY_PARTS.map((part) => `a${part}`),
        LONGEST_KEY,
        'z'.repeat(2_048),
      ]
      await store(
        state,
        keys.map((key) => [key, textHeld(key)]),
      )
      const bounds = ['', 'aa', `${LONGEST_KEY}\0`, ...keys]
      for (const from of bounds) {
        for (const to of [undefined, ...bounds.filter((_, index) => index % 2 === 0)]) {
          for (const reverse of [false, true]) {
            expect(keysOf(state, from, to, reverse)).toEqual(
              keysInRange(keys, { from, to }, reverse),
            )
          }
        }
      }
    }))

  test('entries of a range → each with its own value', () =>
    withState(async (state) => {
      const keys = Array.from({ length: 300 }, (_, index) => `key ${1_000 + index}`)
      await store(
        state,
        keys.map((key, index) => [key, textHeld(`value of ${key}`, index + 1)]),
      )
      const found = Array.from(state.range('', undefined, false), ({ key, held }) => [
        key,
        textOf(held),
        held.version,
      ])
      expect(found).toEqual(keys.map((key, index) => [key, `value of ${key}`, index + 1]))
    }))

  test('a range left half-way → the state goes on', () =>
    withState(async (state) => {
      await store(state, [
        ['a', textHeld('x')],
        ['b', textHeld('x')],
      ])
      for (const { key } of state.range('', undefined, false)) if (key === 'a') break
      await store(state, [['c', textHeld('x')]])
      expect(keysOf(state)).toEqual(['a', 'b', 'c'])
    }))
})

describe('state: expiry index', () => {
  test('due rows → by time, up to and with the moment asked for', () =>
    withState(async (state) => {
      await store(state, [
        ['c', textHeld('x', 1, { expiresAt: 10 })],
        ['a', textHeld('x', 1, { expiresAt: 20 })],
        ['b', textHeld('x', 1, { expiresAt: 10 })],
        ['d', textHeld('x', 1, { expiresAt: 21 })],
        ['e', textHeld('x')],
      ])
      expect(rowsOf(state, 9)).toEqual([])
      expect(rowsOf(state, 20)).toEqual([
        [10, 'b'],
        [10, 'c'],
        [20, 'a'],
      ])
      expect(Array.from(state.due(20, { expiresAt: 10, key: 'b' }), ({ key }) => key)).toEqual([
        'c',
        'a',
      ])
    }))

  test("P7: a key's expiry renewed a thousand times → one row", () =>
    withState(async (state) => {
      for (let expiresAt = 1; expiresAt <= 1_000; expiresAt += 1) {
        await store(state, [['a', textHeld('x', 1, { expiresAt })]])
      }
      expect(rowsOf(state)).toEqual([[1_000, 'a']])
    }))

  test('renewed, then without expiry, or deleted → no row', () =>
    withState(async (state) => {
      const expiring = textHeld('x', 1, { expiresAt: 5 })
      await store(state, [
        ['a', expiring],
        ['b', expiring],
      ])
      await store(state, [
        ['a', textHeld('x', 2)],
        ['b', tombstone(3)],
      ])
      expect(rowsOf(state)).toEqual([])
      expect(state.hasExpiring).toBe(false)
    }))

  test('stored again with the same expiry → its row stays', () =>
    withState(async (state) => {
      await store(state, [['a', textHeld('x', 1, { expiresAt: 5 })]])
      await store(state, [['a', textHeld('y', 2, { expiresAt: 5 })]])
      expect(rowsOf(state)).toEqual([[5, 'a']])
    }))
})

describe('state: marks', () => {
  test('new → nothing applied', () =>
    withState(async (state) => {
      expect(state.marks).toMatchObject({ ...IDENTITY, appliedRevision: 0, applyingRevision: 0 })
    }))

  test('moved with a transaction → there after reopening', () =>
    inDirectory(async (directory) => {
      const state = State.open(directory, IDENTITY)
      await state.write([{ key: 'a', held: textHeld('x') }], { applyingRevision: 9 })
      await state.write([], { appliedRevision: 9 })
      await state.close()
      const again = State.open(directory, IDENTITY)
      expect(again.marks).toMatchObject({ ...IDENTITY, appliedRevision: 9, applyingRevision: 9 })
      await again.close()
    }))

  test.each([
    ['cluster', { clusterId: 'cluster-2', shard: 3 }],
    ['shard', { clusterId: 'cluster-1', shard: 4 }],
  ])('P8: the state of another %s → refused, and left as it is', (_name, identity) =>
    inDirectory(async (directory) => {
      const state = State.open(directory, IDENTITY)
      await state.write([], { appliedRevision: 1 })
      await state.close()
      expect(() => State.open(directory, identity)).toThrow(StateDamage)
      const again = State.open(directory, IDENTITY)
      expect(again.marks.appliedRevision).toBe(1)
      await again.close()
    }),
  )

  test('P8: entries without marks → damage', () =>
    inDirectory(async (directory) => {
      const state = State.open(directory, IDENTITY)
      await store(state, [['a', textHeld('x')]])
      await state.close()
      expect(() => State.open(directory, IDENTITY)).toThrow(/entries but no marks/)
    }))
})
