/**
 * Hands out sequence numbers and knows the low-water mark: the highest number below which every
 * call has settled, so that the node may forget those results. Pure.
 *
 * Numbers settle in any order. A ring of flags covers the span between the mark and the newest
 * number; the mark moves up over flags that are set.
 */

/**
 * Longest span between the mark and the newest number: one call that hangs must not make client
 * and node remember everything after it.
 */
export const SEQUENCE_SPAN_MAX = 1_048_576

const SPAN_MIN = 1_024

export class SequenceLedger {
  private newest = 0
  private mark = 0
  private settled = new Uint8Array(SPAN_MIN)

  /** Every number up to this one has settled. */
  get lowWater(): number {
    return this.mark
  }

  /** Whether `count` more numbers may be given out now. */
  hasRoom(count: number): boolean {
    return this.newest - this.mark + count <= SEQUENCE_SPAN_MAX
  }

  /** Gives out `count` consecutive numbers; returns the first. Numbers begin at 1. */
  issue(count: number): number {
    const first = this.newest + 1
    this.newest += count
    if (this.newest - this.mark > this.settled.length) this.grow()
    return first
  }

  settle(sequence: number): void {
    const mask = this.settled.length - 1
    this.settled[sequence & mask] = 1
    while (this.mark < this.newest && this.settled[(this.mark + 1) & mask] === 1) {
      this.mark += 1
      this.settled[this.mark & mask] = 0
    }
  }

  private grow(): void {
    let length = this.settled.length
    while (length < this.newest - this.mark) length *= 2
    const grown = new Uint8Array(length)
    const mask = this.settled.length - 1
    for (let offset = 1; offset <= this.settled.length; offset += 1) {
      const sequence = this.mark + offset
      grown[sequence & (length - 1)] = this.settled[sequence & mask]!
    }
    this.settled = grown
  }
}
