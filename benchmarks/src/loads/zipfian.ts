/**
 * Popularity as the world has it: few keys are asked for all the time, most hardly ever.
 *
 * The method is that of Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD
 * 1994, section 3.2), as YCSB uses it (`ZipfianGenerator`, `ScrambledZipfianGenerator`), with its
 * theta of 0.99: rank r comes up in proportion to 1 / (r + 1) ^ theta. Scrambled: which key has which
 * rank is by a hash, so that popular keys do not stand side by side. As in YCSB, two ranks may share a
 * key then, and some keys never come up.
 */
export const THETA = 0.99

/** Draws ranks from 0, the most popular, to `count` - 1. */
export class Zipfian {
  private readonly count: number
  private readonly zetaOfAll: number
  private readonly alpha: number
  private readonly eta: number
  private readonly untilSecond: number

  constructor(count: number, theta: number = THETA) {
    this.count = count
    const zetaOfTwo = 1 + 0.5 ** theta
    let zeta = 0
    for (let rank = 1; rank <= count; rank += 1) zeta += 1 / rank ** theta
    this.zetaOfAll = zeta
    this.alpha = 1 / (1 - theta)
    this.eta = (1 - (2 / count) ** (1 - theta)) / (1 - zetaOfTwo / zeta)
    this.untilSecond = zetaOfTwo
  }

  /** `chance` is uniform, from 0 to less than 1. */
  rank(chance: number): number {
    const scaled = chance * this.zetaOfAll
    if (scaled < 1) return 0
    if (scaled < this.untilSecond) return Math.min(1, this.count - 1)
    const rank = Math.floor(this.count * (this.eta * chance - this.eta + 1) ** this.alpha)
    return Math.min(rank, this.count - 1)
  }
}

/** Which key a rank stands for: FNV-1a of its four bytes, modulo how many there are. */
export function scrambled(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, rank) => hashOf(rank) % count)
}

function hashOf(rank: number): number {
  let hash = 0x811c9dc5
  for (let shift = 0; shift < 32; shift += 8) {
    hash = Math.imul(hash ^ ((rank >>> shift) & 0xff), 0x01000193)
  }
  return hash >>> 0
}
