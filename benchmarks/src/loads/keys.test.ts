import { describe, expect, test } from 'vitest'
import { Chance, drawOf, KeyPool, keyAt, POOL_MAX, prefixOf } from './keys.js'

describe('the keys of a run', () => {
  test('the same seed asks for the same keys in the same order', () => {
    const drawn = (draw: 'uniform' | 'zipfian'): number[] => {
      const next = drawOf(draw, 500, new Chance(42))
      return Array.from({ length: 100 }, () => next())
    }
    expect(drawn('uniform')).toEqual(drawn('uniform'))
    expect(drawn('zipfian')).toEqual(drawn('zipfian'))
    expect(drawn('uniform')).not.toEqual(drawn('zipfian'))
  })

  test('uniform: every key comes up about as often as any other', () => {
    const times = Array.from({ length: 10 }, () => 0)
    const next = drawOf('uniform', times.length, new Chance(1))
    for (let draw = 0; draw < 100_000; draw += 1) times[next()]! += 1
    for (const each of times) expect(Math.abs(each - 10_000)).toBeLessThan(500)
  })

  test('a seed of zero draws, too', () => {
    const chance = new Chance(0)
    expect(new Set([chance.whole(), chance.whole(), chance.whole()]).size).toBe(3)
  })

  test('of few keys the pool has all, of many it has some of everywhere, each once', () => {
    expect(new KeyPool(3).keys).toEqual([keyAt(0), keyAt(1), keyAt(2)])
    const { keys } = new KeyPool(10 * POOL_MAX)
    expect(keys).toHaveLength(POOL_MAX)
    expect(new Set(keys).size).toBe(POOL_MAX)
    expect(keys.at(-1)).toBe(keyAt(10 * POOL_MAX - 10))
  })

  test('a prefix is common to a hundred keys', () => {
    const { keys } = new KeyPool(1_000)
    expect(keys.filter((key) => key.startsWith(prefixOf(keyAt(321))))).toEqual(
      Array.from({ length: 100 }, (_, at) => keyAt(300 + at)),
    )
  })
})
