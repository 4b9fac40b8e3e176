import { describe, expect, test } from 'vitest'
import { Chance } from './keys.js'
import { scrambled, THETA, Zipfian } from './zipfian.js'

const COUNT = 1_000
const DRAWS = 200_000

function sharesOf(count: number): number[] {
  const zipfian = new Zipfian(count)
  const chance = new Chance(7)
  const drawn = Array.from({ length: count }, () => 0)
  for (let draw = 0; draw < DRAWS; draw += 1) {
    const rank = zipfian.rank(chance.share())
    drawn[rank] = (drawn[rank] ?? Number.NaN) + 1
  }
  return drawn.map((times) => times / DRAWS)
}

describe('zipfian keys', () => {
  test('a rank comes up in proportion to 1 / (rank + 1) ^ theta', () => {
    const zeta = Array.from({ length: COUNT }, (_, rank) => 1 / (rank + 1) ** THETA).reduce(
      (sum, each) => sum + each,
    )
    const shares = sharesOf(COUNT)
    // The first two are exact, the others by a continuous approximation.
    for (const [rank, within] of [0.02, 0.02, 0.35, 0.35, 0.35].entries()) {
      const expected = 1 / (rank + 1) ** THETA / zeta
      expect(Math.abs((shares[rank] as number) / expected - 1)).toBeLessThan(within)
    }
    const tenth = shares.slice(0, COUNT / 10).reduce((sum, share) => sum + share)
    const expectedTenth =
      Array.from({ length: COUNT / 10 }, (_, rank) => 1 / (rank + 1) ** THETA).reduce(
        (sum, each) => sum + each,
      ) / zeta
    expect(Math.abs(tenth / expectedTenth - 1)).toBeLessThan(0.03)
  })

  test.each([1, 2, 3, 100_000])('of %i, none is outside', (count) => {
    const zipfian = new Zipfian(count)
    for (const chance of [0, 0.1, 0.5, 0.9, 1 - 2 ** -32]) {
      const rank = zipfian.rank(chance)
      expect(Number.isInteger(rank) && rank >= 0 && rank < count).toBe(true)
    }
  })

  test('popular keys do not stand side by side', () => {
    const places = scrambled(100_000)
    const first = [...places.subarray(0, 10)].toSorted((one, other) => one - other)
    for (let at = 1; at < first.length; at += 1) {
      expect((first[at] as number) - (first[at - 1] as number)).toBeGreaterThan(1)
    }
    expect(new Set(places).size).toBeGreaterThan(50_000)
  })
})
