/**
 * Knows which keys may have unanswered writes of this client, so that a read of such a key can be
 * sent behind them. Pure.
 *
 * Keys are counted in buckets of their routing hash: another key of the same bucket only makes a
 * read wait for writes it would not have had to wait for.
 */
const BUCKETS = 1_024

export class WriteTracker {
  private readonly counts = new Uint32Array(BUCKETS)
  /** A `clear` may delete any key. */
  private clears = 0

  /** Whether a read of a key with this hash must be answered after writes that are under way. */
  isWriting(hash: number): boolean {
    return this.counts[hash & (BUCKETS - 1)] !== 0 || this.clears !== 0
  }

  /** A write was made: of the key with `hash`, or of a whole shard. */
  begin(hash: number, ofShard: boolean): void {
    if (ofShard) this.clears += 1
    else this.counts[hash & (BUCKETS - 1)]! += 1
  }

  /** A write was made of the keys with these hashes. */
  beginEach(hashes: readonly number[]): void {
    for (const hash of hashes) this.begin(hash, false)
  }

  /** It has settled. */
  endEach(hashes: readonly number[]): void {
    for (const hash of hashes) this.end(hash, false)
  }

  /** It has settled. */
  end(hash: number, ofShard: boolean): void {
    if (ofShard) this.clears -= 1
    else this.counts[hash & (BUCKETS - 1)]! -= 1
  }
}
