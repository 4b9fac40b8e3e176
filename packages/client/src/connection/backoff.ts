/**
 * How long to wait before trying again: exponential, with full jitter. Pure.
 *
 * Full jitter (anything from nothing to the bound) spreads clients that lost the same node over
 * the whole interval, so that they do not come back in step.
 */
export interface Delays {
  /** Bound of the first wait. */
  readonly baseMs: number
  /** Bound of every wait. */
  readonly maxMs: number
}

/** The wait after `failures` failures in a row; `random` gives numbers from 0 to below 1. */
export function backoffMs(delays: Delays, failures: number, random: () => number): number {
  const bound = Math.min(delays.maxMs, delays.baseMs * 2 ** Math.min(failures, 30))
  return random() * bound
}
