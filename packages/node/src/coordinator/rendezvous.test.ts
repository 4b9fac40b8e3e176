import { describe, expect, test } from 'vitest'
import { byPreference, score } from './rendezvous.js'

const SHARDS = Array.from({ length: 4_096 }, (_, shard) => shard)

function favourite(shard: number, children: readonly number[]): number {
  return children.toSorted(byPreference(shard))[0]!
}

describe('rendezvous', () => {
  test('many shards → every child is the favourite of about its share', () => {
    const children = [1, 2, 3, 4, 5]
    for (const child of children) {
      const share = SHARDS.filter((shard) => favourite(shard, children) === child).length
      expect(share / (SHARDS.length / children.length)).toBeCloseTo(1, 0)
    }
  })

  test('a child joins → a shard changes its favourite only for that child', () => {
    for (const shard of SHARDS) {
      const before = favourite(shard, [1, 2, 3])
      expect([before, 4]).toContain(favourite(shard, [1, 2, 3, 4]))
    }
  })

  test('stored placements depend on the scores → they never change', () => {
    expect([score(0, 1), score(1, 1), score(0, 2), score(4_095, 256)]).toMatchInlineSnapshot(`
      [
        2535635701,
        355328004,
        3047438640,
        3817028796,
      ]
    `)
  })
})
