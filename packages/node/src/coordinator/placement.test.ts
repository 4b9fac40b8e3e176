import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PlacedShard } from './placement.js'
import { place } from './placement.js'

/** Places the shards and makes the result the placement that stands. */
function settle(shards: readonly PlacedShard[], children: readonly number[]): PlacedShard[] {
  const placed = place(shards, children)
  return shards.map(({ id }) => ({ id, child: placed.get(id)! }))
}

function fresh(count: number): PlacedShard[] {
  return Array.from({ length: count }, (_, id) => ({ id, child: 0 }))
}

function firstChildren(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

function load(shards: readonly PlacedShard[], children: readonly number[]): number[] {
  return children.map((child) => shards.filter((shard) => shard.child === child).length)
}

function moved(before: readonly PlacedShard[], after: readonly PlacedShard[]): PlacedShard[] {
  return after.filter((shard, index) => shard.child !== before[index]!.child)
}

const shardCounts = fc.integer({ min: 1, max: 256 })
const childCounts = fc.integer({ min: 1, max: 24 })

/** A placement that is the outcome of a history of joins and leaves. */
const histories = fc
  .record({
    shards: shardCounts,
    sets: fc.array(
      fc.uniqueArray(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 16 }),
      {
        minLength: 1,
        maxLength: 6,
      },
    ),
  })
  .map(({ shards, sets }) => {
    let placement = fresh(shards)
    for (const children of sets) placement = settle(placement, children)
    return { placement, children: sets.at(-1)! }
  })

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
          const before = hosts.map((child, id) => ({ id, child }))
          const moves = moved(before, settle(before, children)).length
          // No placement within one of even keeps more than this of what each child has.
          const even = Math.floor(hosts.length / count)
          const larger = hosts.length % count
          const kept = load(before, children)
            .toSorted((left, right) => right - left)
            .map((had, index) => Math.min(had, index < larger ? even + 1 : even))
          expect(moves).toBe(hosts.length - kept.reduce((sum, had) => sum + had, 0))
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
    expect(place(fresh(16), [])).toEqual(new Map())
  })

  test('a new directory on another day → the same placement', () => {
    expect(settle(fresh(8), [1, 2, 3]).map(({ child }) => child)).toEqual(
      settle(fresh(8), [3, 2, 1]).map(({ child }) => child),
    )
  })
})
