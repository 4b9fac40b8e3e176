import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PlacedCopy } from './placement.js'
import { place } from './placement.js'

/** A copy of a shard where it is. */
interface Spot extends PlacedCopy {
  readonly id: number
}

/** Places the copies and makes the result the placement that stands. */
function settle(spots: readonly Spot[], children: readonly number[]): Spot[] {
  const placed = place(shardsOf(spots), children)
  return spots.map((spot) => ({ ...spot, child: placed.get(spot.id)!.get(spot.copy) ?? 0 }))
}

function shardsOf(spots: readonly Spot[]): { id: number; copies: Spot[] }[] {
  const ids = [...new Set(spots.map(({ id }) => id))]
  return ids.map((id) => ({ id, copies: spots.filter((spot) => spot.id === id) }))
}

/** Shards that nobody hosts yet; their first copies are primaries. */
function fresh(count: number, copies = 1): Spot[] {
  return Array.from({ length: count * copies }, (_, index) => {
    const copy = index % copies
    return { id: Math.floor(index / copies), copy, child: 0, isPrimary: copy === 0 }
  })
}

function firstChildren(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

function load(shards: readonly Spot[], children: readonly number[]): number[] {
  return children.map((child) => shards.filter((shard) => shard.child === child).length)
}

function moved(before: readonly Spot[], after: readonly Spot[]): Spot[] {
  return after.filter((shard, index) => shard.child !== before[index]!.child)
}

const shardCounts = fc.integer({ min: 1, max: 256 })
const childCounts = fc.integer({ min: 1, max: 24 })

/** A placement that is the outcome of a history of joins and leaves. */
function historiesOf(copies: number): fc.Arbitrary<{ placement: Spot[]; children: number[] }> {
  const children = fc.uniqueArray(fc.integer({ min: 1, max: 24 }), {
    minLength: copies,
    maxLength: 16,
  })
  return fc
    .record({ shards: shardCounts, sets: fc.array(children, { minLength: 1, maxLength: 6 }) })
    .map(({ shards, sets }) => {
      let placement = fresh(shards, copies)
      for (const set of sets) placement = settle(placement, set)
      return { placement, children: sets.at(-1)! }
    })
}

const histories = historiesOf(1)
const severalCopies = fc.integer({ min: 2, max: 3 }).chain(historiesOf)

/** No placement within one of even moves less than this. */
function leastMoves(spots: readonly Spot[], children: readonly number[]): number {
  const even = Math.floor(spots.length / children.length)
  const larger = spots.length % children.length
  const kept = load(spots, children)
    .toSorted((left, right) => right - left)
    .map((had, index) => Math.min(had, index < larger ? even + 1 : even))
  return spots.length - kept.reduce((sum, had) => sum + had, 0)
}

describe('placement', () => {
  test('any history → every shard has a child and the children are within one of even', () => {
    fc.assert(
      fc.property(histories, ({ placement, children }) => {
        const counts = load(placement, children)
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(placement.length)
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('a placement that stands → nothing moves, whatever the order of the children', () => {
    fc.assert(
      fc.property(histories, ({ placement, children }) => {
        expect(moved(placement, settle(placement, children))).toEqual([])
        expect(moved(placement, settle(placement, children.toReversed()))).toEqual([])
      }),
    )
  })

  test('a child joins → what moves goes to it, and is at most its share rounded up', () => {
    fc.assert(
      fc.property(histories, ({ placement, children }) => {
        const joining = Math.max(...children) + 1
        const after = settle(placement, [...children, joining])
        const moves = moved(placement, after)
        expect(moves.every((shard) => shard.child === joining)).toBe(true)
        expect(moves.length).toBeLessThanOrEqual(
          Math.ceil(placement.length / (children.length + 1)),
        )
      }),
    )
  })

  test('a child leaves → only what it had moves', () => {
    fc.assert(
      fc.property(histories, fc.nat(), ({ placement, children }, pick) => {
        fc.pre(children.length > 1)
        const leaving = children[pick % children.length]!
        const after = settle(
          placement,
          children.filter((child) => child !== leaving),
        )
        const had = placement.filter((shard) => shard.child === leaving).map(({ id }) => id)
        expect(moved(placement, after).map(({ id }) => id)).toEqual(had)
      }),
    )
  })

  test('shards are spread unevenly → as few move as balance allows', () => {
    fc.assert(
      fc.property(
        childCounts,
        fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 256 }),
        (count, hosts) => {
          const children = firstChildren(count)
          const before = hosts.map((child, id) => ({ id, copy: 0, child, isPrimary: true }))
          const moves = moved(before, settle(before, children)).length
          expect(moves).toBe(leastMoves(before, children))
        },
      ),
    )
  })

  test('a child leaves and comes back → the others give it only its share', () => {
    fc.assert(
      fc.property(shardCounts, fc.integer({ min: 2, max: 16 }), (shards, count) => {
        const children = firstChildren(count)
        const before = settle(fresh(shards), children)
        const without = settle(before, children.slice(1))
        const back = settle(without, children)
        expect(moved(without, back).every((shard) => shard.child === 1)).toBe(true)
      }),
    )
  })

  test('no children → nothing is placed', () => {
    expect(place(shardsOf(fresh(16)), [])).toEqual(new Map())
  })

  test('a new directory on another day → the same placement', () => {
    expect(settle(fresh(8), [1, 2, 3]).map(({ child }) => child)).toEqual(
      settle(fresh(8), [3, 2, 1]).map(({ child }) => child),
    )
  })
})

describe('placement of several copies', () => {
  test('any history → each copy of a shard in another child, the children within one of even', () => {
    fc.assert(
      fc.property(severalCopies, ({ placement, children }) => {
        for (const { copies } of shardsOf(placement)) {
          expect(new Set(copies.map(({ child }) => child)).size).toBe(copies.length)
        }
        const counts = load(placement, children)
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(placement.length)
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('a placement that stands → nothing moves', () => {
    fc.assert(
      fc.property(severalCopies, ({ placement, children }) => {
        expect(moved(placement, settle(placement, children))).toEqual([])
      }),
    )
  })

  test('a child joins → what moves goes to it, and is at most its share', () => {
    fc.assert(
      fc.property(severalCopies, ({ placement, children }) => {
        const joining = Math.max(...children) + 1
        const after = settle(placement, [...children, joining])
        const moves = moved(placement, after)
        expect(moves.every(({ child }) => child === joining)).toBe(true)
        const share = Math.ceil(placement.length / (children.length + 1))
        expect(moves.length).toBeLessThanOrEqual(share)
      }),
    )
  })

  test('a child leaves → what it had moves, and hardly anything else', () => {
    fc.assert(
      fc.property(severalCopies, fc.nat(), ({ placement, children }, pick) => {
        const leaving = children[pick % children.length]!
        const staying = children.filter((child) => child !== leaving)
        const copies = shardsOf(placement)[0]!.copies.length
        fc.pre(staying.length >= copies)
        const moves = moved(placement, settle(placement, staying))
        const had = placement.filter(({ child }) => child === leaving).length
        // A copy more for each that finds only children with room that have one of its shard.
        expect(moves.length).toBeLessThanOrEqual(had + Math.ceil(had / 2))
      }),
    )
  })

  test('fewer children than copies → the first of each shard, one in each child', () => {
    const placed = place(shardsOf(fresh(4, 3)), [1, 2])
    for (const copies of placed.values()) {
      expect([...copies.keys()]).toEqual([0, 1])
      expect(new Set(copies.values())).toEqual(new Set([1, 2]))
    }
  })
})
