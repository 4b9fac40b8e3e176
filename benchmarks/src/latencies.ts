/**
 * How long calls took, each of them. To keep a number costs next to nothing: what a loop of calls
 * costs besides the calls makes every peer look the same.
 */
const FIRST_COUNT = 65_536

export interface LatencySummary {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export class Latencies {
  private samples = new Float64Array(FIRST_COUNT)
  private count = 0

  add(ms: number): void {
    if (this.count === this.samples.length) {
      const larger = new Float64Array(2 * this.count)
      larger.set(this.samples)
      this.samples = larger
    }
    this.samples[this.count] = ms
    this.count += 1
  }

  /** Of what was added; zeros if nothing was. */
  summary(): LatencySummary {
    const ordered = this.samples.slice(0, this.count).sort()
    const at = (share: number): number => ordered[Math.ceil(share * this.count) - 1] ?? 0
    return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
  }
}
