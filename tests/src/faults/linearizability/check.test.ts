/**
 * The checker on executions of a single copy, on the same with one lie in them, and at its limits.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../load/seeded-random.js'
import type { Operation } from '../history/operation.js'
import { atomic, found, lostSet, read, set } from '../testing/lines.js'
import { MUTATIONS } from '../testing/mutation.js'
import { randomHistory } from '../testing/random-history.js'
import { check, explain, partitionsOf } from './check.js'
import { search } from './search.js'

const OPTIONS = { operations: 60, clients: 3, lostPercent: 0 }
const RUNS = 300

describe('at random', () => {
  test('what a single copy did → accepted, whatever was lost on the way', () => {
    const shapes = fc.record({
      seed: fc.nat(),
      operations: fc.integer({ min: 1, max: 120 }),
      clients: fc.integer({ min: 1, max: 8 }),
      lostPercent: fc.integer({ min: 0, max: 15 }),
    })
    fc.assert(
      fc.property(shapes, ({ seed, ...options }) => {
        const history = randomHistory(new SeededRandom(seed), options)
        expect(search(history).kind).toBe('linearizable')
      }),
      { numRuns: RUNS },
    )
  })

  test.each(Object.entries(MUTATIONS))('%s → refused nearly always', (_, mutate) => {
    let tried = 0
    let refused = 0
    for (let seed = 0; seed < RUNS; seed += 1) {
      const random = new SeededRandom(seed)
      const mutant = mutate(randomHistory(random, OPTIONS), random)
      if (mutant === undefined) continue
      tried += 1
      if (search(mutant).kind === 'violation') refused += 1
    }
    // What overlaps may have been in another order: some lies are no contradiction.
    expect(tried).toBeGreaterThan(RUNS / 2)
    expect(refused / tried).toBeGreaterThan(0.7)
  })
})

describe('partitions', () => {
  test('keys of one atomic batch, and of those it overlaps with, belong together', () => {
    const batch = (...keys: string[]): Operation =>
      atomic(0, 1, { checks: [], sets: keys.map((key) => ({ key, value: 1 })) }, undefined)
    const history = [
      batch('a', 'b'),
      batch('c', 'd'),
      batch('b', 'c'),
      read(2, 3, undefined, 'z'),
      read(2, 3, found(1), 'd'),
    ]
    const keys = partitionsOf(history).map((partition) => partition.keys.toSorted())
    expect(keys).toEqual([['a', 'b', 'c', 'd'], ['z']])
  })

  test('a violation of one key → found among others, and told with what led to it', () => {
    const history = [
      set(0, 1, 'v', 1, 'a'),
      read(2, 3, found('v', 1), 'a'),
      set(0, 1, 'w', 2, 'b'),
      read(2, 3, undefined, 'b'),
    ]
    const { partitions, findings } = check(history)
    expect(partitions).toBe(2)
    expect(findings.map(({ keys }) => keys)).toEqual([['b']])
    expect(explain(findings[0]!)).toContain('"value":"w"')
  })
})

describe('limits', () => {
  // Many writes of unknown outcome and a read that none of them explains: every order is tried.
  const hard = [
    ...Array.from({ length: 24 }, (_, index) => lostSet(index, `v${index}`)),
    read(50, 51, found('x')),
  ]

  test('no time → gave up, which is a finding', () => {
    let now = 0
    const verdict = search(hard, { timeMsMax: 10, statesMax: 1e9 }, () => (now += 1))
    expect(verdict).toMatchObject({ kind: 'gave-up', why: expect.stringContaining('time') })
    const checked = check(hard, { timeMsMax: 1, statesMax: 1e9 })
    expect(checked.findings).toHaveLength(1)
  })

  test('no memory → gave up', () => {
    const verdict = search(hard, { timeMsMax: 1e9, statesMax: 1_000 })
    expect(verdict).toMatchObject({ kind: 'gave-up', why: expect.stringContaining('memory') })
  })
})
