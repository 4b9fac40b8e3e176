import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KEY_PARTS, keysInRange, sortedKeys } from '../testing/entries.js'
import { SortedRuns } from './sorted-runs.js'

const key = fc
  .array(fc.constantFrom(...KEY_PARTS), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join(''))
const bound = fc.oneof(fc.constant(''), key)

function sortAll(runs: SortedRuns): void {
  while (runs.sortSome());
}

function walk(
  runs: SortedRuns,
  range: { from: string; to: string | undefined },
  reverse = false,
): string[] {
  const keys: string[] = []
  const cursor = runs.cursor(range.from, range.to, reverse)
  for (let next = cursor.key; next !== undefined; next = cursor.key) {
    keys.push(next)
    cursor.advance()
  }
  return keys
}

function mapOf(keys: Iterable<string>): Map<string, number> {
  return new Map(Array.from(keys, (each) => [each, 0]))
}

const EVERYTHING = { from: '', to: undefined }

describe('sorted runs: order', () => {
  test('any keys, any bounds, both directions → the order of their UTF-8 bytes', () => {
    const property = fc.property(
      fc.array(fc.array(key, { maxLength: 30 }), { maxLength: 6 }),
      bound,
      fc.option(bound, { nil: undefined }),
      fc.boolean(),
      (batches, from, to, reverse) => {
        const map = new Map<string, number>()
        const runs = new SortedRuns(map)
        for (const batch of batches) {
          for (const each of batch) map.set(each, 0)
          sortAll(runs)
        }
        expect(walk(runs, { from, to }, reverse)).toEqual(
          keysInRange(map.keys(), { from, to }, reverse),
        )
      },
    )
    fc.assert(property, { numRuns: 500 })
  })

  test('a bound that is a key → it is the first of `from` and not in before `to`', () => {
    const runs = new SortedRuns(mapOf(['c', 'a', 'b']))
    sortAll(runs)
    expect(walk(runs, { from: 'a', to: 'c' })).toEqual(['a', 'b'])
    expect(walk(runs, { from: 'a', to: 'c' }, true)).toEqual(['b', 'a'])
  })

  test('bounds that leave nothing → no key', () => {
    const runs = new SortedRuns(mapOf(['a', 'b']))
    sortAll(runs)
    expect(walk(runs, { from: 'b', to: 'a' })).toEqual([])
    expect(walk(runs, { from: '', to: '' }, true)).toEqual([])
    expect(runs.cursor('x', undefined, false).key).toBeUndefined()
  })

  test('advancing beyond the end → still the end', () => {
    const runs = new SortedRuns(mapOf(['a']))
    sortAll(runs)
    const cursor = runs.cursor('', undefined, false)
    cursor.advance()
    cursor.advance()
    expect(cursor.key).toBeUndefined()
  })
})

describe('sorted runs: keys that come while sorting goes on', () => {
  test('more keys than a run → sorted step by step, all there once nothing is left', () => {
    const keys = Array.from({ length: 5_000 }, (_, index) => `key ${(index * 7_919) % 5_000}`)
    const runs = new SortedRuns(mapOf(keys))
    let steps = 1
    while (runs.sortSome()) steps += 1
    expect(steps).toBe(3)
    expect(walk(runs, EVERYTHING)).toEqual(sortedKeys(keys))
  })

  test('keys inserted between two steps → neither lost nor twice', () => {
    const map = mapOf(Array.from({ length: 5_000 }, (_, index) => `a${index}`))
    const runs = new SortedRuns(map)
    runs.sortSome()
    for (let index = 0; index < 3_000; index += 1) map.set(`b${index}`, 0)
    runs.sortSome()
    map.set('a0', 1)
    map.set('c', 0)
    sortAll(runs)
    expect(walk(runs, EVERYTHING)).toEqual(sortedKeys(map.keys()))
  })

  test('an end reached, then more keys → the next step takes them up', () => {
    const map = mapOf([])
    const runs = new SortedRuns(map)
    expect(runs.sortSome()).toBe(false)
    map.set('b', 0)
    expect(runs.sortSome()).toBe(false)
    map.set('a', 0)
    expect(walk(runs, EVERYTHING)).toEqual(['b'])
    sortAll(runs)
    expect(walk(runs, EVERYTHING)).toEqual(['a', 'b'])
  })

  test('a few keys before each of many reads → runs are merged and keep everything', () => {
    const map = mapOf([])
    const runs = new SortedRuns(map)
    for (let read = 0; read < 2_500; read += 1) {
      map.set(`key ${(read * 6_151) % 2_500} 😀`, 0)
      if (read % 3 === 0) map.set(`other ${read} \uffff`, 0)
      sortAll(runs)
    }
    expect(walk(runs, EVERYTHING)).toEqual(sortedKeys(map.keys()))
    expect(walk(runs, EVERYTHING, true)).toEqual(sortedKeys(map.keys()).toReversed())
  })

  test('a cursor that was made before → goes on over what it saw', () => {
    const map = mapOf(['b', 'd'])
    const runs = new SortedRuns(map)
    sortAll(runs)
    const cursor = runs.cursor('', undefined, false)
    map.set('c', 0)
    sortAll(runs)
    cursor.advance()
    expect(cursor.key).toBe('d')
  })
})
