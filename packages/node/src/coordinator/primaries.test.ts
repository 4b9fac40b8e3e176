import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { place } from './placement.js'
import type { Candidates } from './primaries.js'
import { choosePrimaries } from './primaries.js'

function counts(chosen: ReadonlyMap<number, number>, children: readonly number[]): number[] {
  return children.map((child) => [...chosen.values()].filter((other) => other === child).length)
}

/** Shards whose copies are placed evenly, with any of their children as primary. */
const evenly = fc
  .record({
    copies: fc.integer({ min: 1, max: 3 }),
    more: fc.integer({ min: 0, max: 8 }),
    shards: fc.array(fc.nat(), { minLength: 1, maxLength: 100 }),
  })
  .map(({ copies, more, shards }) => {
    const children = Array.from({ length: copies + more }, (_, index) => index + 1)
    const numbers = Array.from({ length: copies }, (_, copy) => copy)
    const fresh = shards.map((_, id) => ({
      id,
      copies: numbers.map((copy) => ({ copy, child: 0, isPrimary: copy === 0 })),
    }))
    const placed = place(fresh, children)
    const candidates = shards.map((pick, id): Candidates => {
      const hosts = [...placed.get(id)!.values()]
      return { id, children: hosts, primary: hosts[pick % hosts.length]! }
    })
    return { candidates, children }
  })

describe('primaries', () => {
  test('copies placed evenly → primaries within one of even, each in a child with a copy', () => {
    fc.assert(
      fc.property(evenly, ({ candidates, children }) => {
        const chosen = choosePrimaries(candidates, children)
        for (const { id, children: hosts } of candidates) expect(hosts).toContain(chosen.get(id))
        const each = counts(chosen, children)
        expect(Math.max(...each) - Math.min(...each)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('what was chosen → stays chosen', () => {
    fc.assert(
      fc.property(evenly, ({ candidates, children }) => {
        const chosen = choosePrimaries(candidates, children)
        const settled = candidates.map((shard) => ({ ...shard, primary: chosen.get(shard.id)! }))
        expect(choosePrimaries(settled, children)).toEqual(chosen)
      }),
    )
  })

  test('a primary that can not stay → goes to the child with the fewest', () => {
    const chosen = choosePrimaries(
      [
        { id: 0, primary: 1, children: [1, 2] },
        { id: 1, primary: 9, children: [1, 2] },
      ],
      [1, 2],
    )
    expect([...chosen]).toEqual([
      [0, 1],
      [1, 2],
    ])
  })

  test('no child has both → they change hands along a chain', () => {
    const chosen = choosePrimaries(
      [
        { id: 0, primary: 1, children: [1] },
        { id: 1, primary: 1, children: [1, 2] },
        { id: 2, primary: 2, children: [2, 3] },
      ],
      [1, 2, 3],
    )
    expect([...chosen.values()]).toEqual([1, 2, 3])
  })

  test('the copies do not allow it → as even as they do', () => {
    const alone = [0, 1, 2].map((id) => ({ id, primary: 1, children: [1] }))
    expect(counts(choosePrimaries(alone, [1, 2]), [1, 2])).toEqual([3, 0])
  })
})
