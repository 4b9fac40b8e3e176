/**
 * How long writes take, from the first of a group until its frame is durable, in buckets whose width
 * grows with what they hold. A group costs two readings of a clock and one addition, however many
 * writes are in it.
 *
 * It tells of the last 10 to 20 seconds: two windows take turns.
 */

/** Parts of each doubling: what is told is at most a quarter more than it was. */
const STEPS = 4
/** Microseconds up to 2 to this; whatever takes longer counts as that. */
const DOUBLINGS = 26
const WINDOW_MS = 10_000

export interface WriteTimes {
  readonly writeP50Ms: number
  readonly writeP99Ms: number
}

export class WriteTimeWindows {
  private current = new Uint32Array(DOUBLINGS * STEPS)
  private before = new Uint32Array(DOUBLINGS * STEPS)
  private count = 0
  private countBefore = 0
  private turnsAtMs: number

  /** Times are monotonic, in milliseconds. */
  constructor(nowMs: number) {
    this.turnsAtMs = nowMs + WINDOW_MS
  }

  record(sinceMs: number, nowMs: number, writes: number): void {
    if (nowMs >= this.turnsAtMs) this.turn(nowMs)
    const bucket = bucketOf((nowMs - sinceMs) * 1_000)
    this.current[bucket]! += writes
    this.count += writes
  }

  /** `undefined` if nothing was written of late. */
  read(nowMs: number): WriteTimes | undefined {
    if (nowMs >= this.turnsAtMs) this.turn(nowMs)
    if (this.count + this.countBefore === 0) return undefined
    return { writeP50Ms: this.quantile(0.5), writeP99Ms: this.quantile(0.99) }
  }

  private quantile(share: number): number {
    let left = (this.count + this.countBefore) * share
    for (let bucket = 0; bucket < this.current.length; bucket += 1) {
      left -= this.current[bucket]! + this.before[bucket]!
      if (left <= 0) return upperEndMs(bucket)
    }
    return upperEndMs(this.current.length - 1)
  }

  private turn(nowMs: number): void {
    const isLongAgo = nowMs >= this.turnsAtMs + WINDOW_MS
    const emptied = this.before.fill(0)
    if (isLongAgo) this.current.fill(0)
    this.before = this.current
    this.countBefore = isLongAgo ? 0 : this.count
    this.current = emptied
    this.count = 0
    this.turnsAtMs = nowMs + WINDOW_MS
  }
}

function bucketOf(microseconds: number): number {
  const whole = Math.max(STEPS, Math.min(Math.ceil(microseconds), 2 ** DOUBLINGS - 1))
  const doubling = 31 - Math.clz32(whole)
  const step = (whole >> (doubling - 2)) & (STEPS - 1)
  return doubling * STEPS + step
}

/** The longest time that the bucket holds. */
function upperEndMs(bucket: number): number {
  const doubling = Math.floor(bucket / STEPS)
  const width = 2 ** doubling / STEPS
  const microseconds = 2 ** doubling + width * ((bucket % STEPS) + 1)
  return microseconds / 1_000
}
