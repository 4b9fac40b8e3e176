/** The keys of a run, and in which order they are asked for: the same for every store. */
import type { Load } from './load.js'
import { scrambled, Zipfian } from './zipfian.js'

/**
 * How many different keys are asked for at most. Of more keys than that, these stand evenly among all, so
 * that every page of a store is asked for, while this process does not have to hold ten million strings,
 * whose collection would be measured as well.
 */
export const POOL_MAX = 1_000_000

const DIGITS = 8

export function keyAt(index: number): string {
  return `bench:key:${String(index).padStart(DIGITS, '0')}`
}

export function counterAt(index: number): string {
  return `bench:counter:${index}`
}

/** Common to the hundred keys, no more, whose numbers differ in the last two digits only. */
export function prefixOf(key: string): string {
  return key.slice(0, -2)
}

export class KeyPool {
  readonly count: number
  readonly keys: readonly string[]

  constructor(count: number) {
    this.count = count
    const length = Math.min(count, POOL_MAX)
    this.keys = Array.from({ length }, (_, place) => keyAt(Math.floor((place * count) / length)))
  }
}

/** Xorshift (Marsaglia 2003), 32 bits: fast, and the same numbers for the same seed. */
export class Chance {
  private state: number

  constructor(seed: number) {
    // Zero is the one state that never changes.
    this.state = seed | 0 || 2_463_534_242
  }

  /** From 0 to 2^32 - 1. */
  whole(): number {
    this.state ^= this.state << 13
    this.state ^= this.state >>> 17
    this.state ^= this.state << 5
    return this.state >>> 0
  }

  /** From 0 to less than 1. */
  share(): number {
    return this.whole() / 4_294_967_296
  }
}

/** Numbers of keys in a pool of `count`, as a load draws them. */
export function drawOf(draw: Load['draw'], count: number, chance: Chance): () => number {
  if (draw === 'uniform') return () => chance.whole() % count
  const zipfian = new Zipfian(count)
  const places = scrambled(count)
  return () => places[zipfian.rank(chance.share())] as number
}
