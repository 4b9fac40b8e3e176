/**
 * Time as the shards see it: one clock for all children of a node, which never goes back.
 *
 * It begins at the coordinator's wall clock and advances with the machine's monotonic clock, so a
 * step of the wall clock changes no expiry.
 */
export interface Clock {
  /** Epoch milliseconds, whole. */
  now(): number
}

/** A clock that advances from one reading of wall and monotonic time taken together. */
export function monotonicClock(reading: { wallMs: number; monotonicNs: string }): Clock {
  // `performance.now()` is the same clock with another origin, and no bigint per reading.
  const aheadMs = Number(process.hrtime.bigint() - BigInt(reading.monotonicNs)) / 1e6
  const originMs = reading.wallMs + aheadMs - performance.now()
  return { now: () => Math.floor(originMs + performance.now()) }
}
