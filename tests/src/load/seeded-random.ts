/**
 * Random numbers that come again with the same seed (mulberry32, Tommy Ettinger, public domain).
 */
export class SeededRandom {
  readonly seed: number
  private state: number

  constructor(seed: number) {
    this.seed = seed
    this.state = seed >>> 0
  }

  /** The seed of the environment, to repeat a run, or one nobody had before. */
  static fromEnvironment(): SeededRandom {
    const given = process.env['KV_TEST_SEED']
    return new SeededRandom(given === undefined ? Date.now() % 2 ** 32 : Number(given))
  }

  /** 32 bits. */
  next(): number {
    this.state = (this.state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    return Math.floor((this.next() / 2 ** 32) * end)
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() & 0xff)
  }
}
