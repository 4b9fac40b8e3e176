/**
 * Histories whose verdict is known: a checker that accepts one of the bad ones would call a store
 * correct that is not (P3, P4).
 */
import { describe, expect, test } from 'vitest'
import type { Operation } from '../history/operation.js'
import {
  add,
  atomic,
  expire,
  found,
  KEY,
  lostAdd,
  lostRemove,
  lostSet,
  read,
  refusedSet,
  remove,
  removeIf,
  set,
  setIf,
} from '../testing/lines.js'
import { search } from './search.js'

type Cases = readonly (readonly [string, readonly Operation[]])[]

const BOTH = {
  checks: [],
  sets: [
    { key: 'a', value: 1 },
    { key: 'b', value: 1 },
  ],
}

const GOOD: Cases = [
  ['nothing', []],
  ['a write, then a read of it', [set(0, 1, 'a', 1), read(2, 3, found('a', 1))]],
  [
    'two reads around a write that goes on',
    [set(0, 9, 'a', 1), read(1, 2, undefined), read(3, 4, found('a'))],
  ],
  [
    'writes at the same time, seen in one order',
    [set(0, 9, 'a', 2), set(0, 9, 'b', 1), read(10, 11, found('a', 2))],
  ],
  [
    'an unknown write that shows later',
    [set(0, 1, 'a', 1), lostSet(2, 'b'), read(3, 4, found('a')), read(5, 6, found('b', 7))],
  ],
  [
    'an unknown write that never shows',
    [set(0, 1, 'a', 1), lostSet(2, 'b'), read(5, 6, found('a'))],
  ],
  [
    'an unknown write, seen by the one after it through its version',
    [set(0, 1, 'a', 1), lostSet(2, 'b'), setIf(3, 4, 'c', 2, 3), read(5, 6, found('c', 3))],
  ],
  [
    'an unknown delete that happened',
    [set(0, 1, 'a', 1), lostRemove(2), read(3, 4, found('a')), read(5, 6, undefined)],
  ],
  ['an unknown increment that counts', [add(0, 1, 1, 1, 1), lostAdd(2, 1), add(3, 4, 1, 3, 5)]],
  ['an unknown increment that does not', [add(0, 1, 1, 1, 1), lostAdd(2, 1), add(3, 4, 1, 2, 5)]],
  [
    'a refused condition shows what stood there',
    [set(0, 1, 'a', 1), refusedSet(2, 3, 'b', null, found('a', 1)), read(4, 5, found('a', 1))],
  ],
  [
    'one of two that want the key wins',
    [setIf(0, 9, 'a', null, 1), refusedSet(0, 9, 'b', null, found('a', 1))],
  ],
  [
    'a delete that found it, and a new life',
    [set(0, 1, 'a', 1), removeIf(2, 3, 1), setIf(4, 5, 'b', null, 3), remove(6, 7, true)],
  ],
  [
    'an expiry within its window',
    [
      set(0, 1, 'a', 1),
      expire(10, 12, 'a'),
      read(11, 11.5, found('a')),
      read(11.6, 11.7, undefined),
    ],
  ],
  [
    'an expiry of what was replaced ends nothing',
    [set(0, 1, 'a', 1), set(2, 3, 'b', 2), expire(10, 12, 'a'), read(13, 14, found('b'))],
  ],
  [
    'an atomic batch, seen as a whole',
    [
      atomic(0, 1, BOTH, { type: 'written', version: 4 }),
      read(2, 3, found(1, 4), 'a'),
      read(2, 3, found(1, 4), 'b'),
    ],
  ],
]

const BAD: Cases = [
  ['a stale read', [set(0, 1, 'a', 1), set(2, 3, 'b', 2), read(4, 5, found('a'))]],
  ['a lost write', [set(0, 1, 'a', 1), read(2, 3, undefined)]],
  [
    'a lost overwrite, shown as absent',
    [set(0, 1, 'a', 1), set(2, 3, 'b', 2), read(4, 5, undefined)],
  ],
  ['an increment that counted twice', [add(0, 1, 1, 1, 1), add(2, 3, 1, 3, 3)]],
  ['an increment that was lost', [add(0, 1, 1, 1, 1), add(2, 3, 1, 1, 3)]],
  ['two increments with the same result', [add(0, 9, 1, 1, 1), add(0, 9, 1, 1, 2)]],
  [
    'an unknown increment that counted twice',
    [add(0, 1, 1, 1, 1), lostAdd(2, 1), add(3, 4, 1, 4, 5)],
  ],
  ['a version that went back', [set(0, 1, 'a', 5), set(2, 3, 'b', 4)]],
  ['a version given twice', [set(0, 9, 'a', 5), set(0, 9, 'b', 5)]],
  [
    'a version that went back over a delete',
    [set(0, 1, 'a', 5), remove(2, 3, true), set(4, 5, 'b', 4)],
  ],
  [
    'a version that changed without a write',
    [set(0, 1, 'a', 1), read(2, 3, found('a', 1)), read(4, 5, found('a', 2))],
  ],
  [
    'a read of an uncommitted value that vanished',
    [set(0, 1, 'a', 1), lostSet(2, 'b'), read(3, 4, found('b')), read(5, 6, found('a'))],
  ],
  ['a value that nobody wrote', [set(0, 1, 'a', 1), read(2, 3, found('x'))]],
  ['a write that was refused as not applied, and yet shows', [read(2, 3, found('refused'))]],
  [
    'a conditional write that succeeded twice',
    [set(0, 1, 'a', 1), setIf(2, 9, 'b', 1, 2), setIf(2, 9, 'c', 1, 3)],
  ],
  ['a creation that succeeded twice', [setIf(0, 9, 'a', null, 1), setIf(0, 9, 'b', null, 2)]],
  [
    'a condition refused by what it asked for',
    [set(0, 1, 'a', 1), refusedSet(2, 3, 'b', 1, found('a', 1))],
  ],
  [
    'a condition refused by what no longer stood there',
    [set(0, 1, 'a', 1), set(2, 3, 'b', 2), refusedSet(4, 5, 'c', 2, found('a', 1))],
  ],
  [
    'a resurrection after a delete',
    [set(0, 1, 'a', 1), remove(2, 3, true), read(4, 5, found('a', 1))],
  ],
  ['a delete that found nothing where something stood', [set(0, 1, 'a', 1), remove(2, 3, false)]],
  [
    'a delete that found the same thing twice',
    [set(0, 1, 'a', 1), remove(2, 3, true), remove(4, 5, true)],
  ],
  ['a deleteIf of a version long gone', [set(0, 1, 'a', 1), set(2, 3, 'b', 2), removeIf(4, 5, 1)]],
  [
    'two reads that disagree about the order',
    [
      set(0, 9, 'a', 1),
      set(0, 9, 'b', 2),
      read(10, 11, found('a')),
      read(12, 13, found('b')),
      read(14, 15, found('a')),
    ],
  ],
  [
    'an entry that outlives its time',
    [set(0, 1, 'a', 1), expire(10, 12, 'a'), read(13, 14, found('a'))],
  ],
  [
    'an entry that ends before its time',
    [set(0, 1, 'a', 1), expire(10, 12, 'a'), read(5, 6, undefined)],
  ],
  [
    'half of an atomic batch',
    [
      atomic(0, 1, BOTH, { type: 'written', version: 4 }),
      read(2, 3, found(1, 4), 'a'),
      read(2, 3, undefined, 'b'),
    ],
  ],
  [
    'half of an atomic batch of unknown outcome',
    [atomic(0, Infinity, BOTH, undefined), read(2, 3, found(1), 'a'), read(4, 5, undefined, 'b')],
  ],
  [
    'an atomic batch whose check did not hold',
    [
      set(0, 1, 'x', 1),
      atomic(
        2,
        3,
        { checks: [{ key: KEY, version: null }], sets: [{ key: 'b', value: 1 }] },
        { type: 'written', version: 2 },
      ),
    ],
  ],
]

describe('accepted', () => {
  test.each(GOOD)('%s', (_, history) => {
    expect(search(history).kind).toBe('linearizable')
    expect(search(history.toReversed()).kind).toBe('linearizable')
  })
})

describe('refused', () => {
  test.each(BAD)('%s', (_, history) => {
    expect(search(history).kind).toBe('violation')
    expect(search(history.toReversed()).kind).toBe('violation')
  })
})
