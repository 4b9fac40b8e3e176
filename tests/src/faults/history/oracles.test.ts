/**
 * The oracles on what they must find, and on what only looks like it (P1, P2, P4).
 */
import { describe, expect, test } from 'vitest'
import { add, expire, found, KEY, lostAdd, lostSet, read, remove, set } from '../testing/lines.js'
import type { Found, Operation } from './operation.js'
import { judge } from './oracles.js'

const NOTHING = { lost: 0, duplicates: 0, versions: 0 }

function counts(history: readonly Operation[], last: Found | undefined): typeof NOTHING {
  const { lost, duplicates, versions } = judge(history, new Map([[KEY, last]]))
  return { lost: lost.length, duplicates: duplicates.length, versions: versions.length }
}

describe('lost', () => {
  const written = [set(0, 1, 'a', 3), set(2, 3, 'b', 5)]

  test.each([
    ['what was written last stands', written, found('b', 5), 0],
    ['a later write of unknown outcome stands', [...written, lostSet(4, 'c')], found('c', 6), 0],
    ['it was deleted', [...written, remove(4, 5, true)], undefined, 0],
    ['its time was over', [...written, expire(4, 5, 'b')], undefined, 0],
    ['nothing stands', written, undefined, 1],
    ['an earlier write stands', written, found('a', 3), 1],
    ['another value stands under its version', written, found('x', 5), 1],
  ])('%s', (_, history, last, lost) => {
    expect(counts(history, last).lost).toBe(lost)
  })
})

describe('duplicates', () => {
  test.each([
    ['every increment counted once', [add(0, 1, 1, 1, 1), add(2, 3, 1, 2, 2)], 2, 0],
    ['one of unknown outcome counted', [add(0, 1, 1, 1, 1), lostAdd(2, 1)], 2, 0],
    ['one of unknown outcome counted twice', [add(0, 1, 1, 1, 1), lostAdd(2, 1)], 3, 1],
    ['a result came twice', [add(0, 1, 1, 1, 1), add(2, 3, 1, 1, 2)], 2, 1],
  ])('%s', (_, history, value, duplicates) => {
    expect(counts(history, found(value, 9)).duplicates).toBe(duplicates)
  })
})

test('a version of two values', () => {
  const history = [set(0, 1, 'a', 3), read(2, 3, found('b', 3))]
  expect(counts(history, found('b', 3)).versions).toBe(1)
})
