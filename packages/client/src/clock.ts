/**
 * Time as the client sees it: monotonic, and injected, so that tests decide what time it is.
 *
 * Nothing else in this package reads a clock or starts a timer.
 */

/** Longest time a timer of any platform can be set to; also the longest timeout of a call. */
export const TIMER_MS_MAX = 2_147_483_647

export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number
  /** Calls `wake` once, `ms` from now. Returns what `clearTimer` takes. */
  setTimer(wake: () => void, ms: number): unknown
  clearTimer(timer: unknown): void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer: (wake, ms) => setTimeout(wake, ms),
  clearTimer: (timer) => {
    clearTimeout(timer as number)
  },
}

/** As `systemClock`, with timers that do not keep a process alive. */
export const idleClock: Clock = {
  ...systemClock,
  setTimer: (wake, ms) => {
    const timer = setTimeout(wake, ms) as unknown as { unref?: () => void }
    timer.unref?.()
    return timer
  },
}

/**
 * One timer for many due times: it is armed for the earliest time asked for, and asks its owner
 * for the next one when it has gone off.
 */
export class Alarm {
  private readonly clock: Clock
  private readonly ring: (now: number) => number
  private timer: unknown
  private armedFor = Infinity

  /** `ring` does what is due and returns the next due time, or `Infinity`. */
  constructor(clock: Clock, ring: (now: number) => number) {
    this.clock = clock
    this.ring = ring
  }

  /** Goes off at `time` or earlier. */
  setBy(time: number): void {
    if (time >= this.armedFor) return
    this.clear()
    this.armedFor = time
    const ms = Math.min(Math.max(0, time - this.clock.now()), TIMER_MS_MAX)
    this.timer = this.clock.setTimer(() => {
      this.onTimer()
    }, ms)
  }

  private onTimer(): void {
    this.timer = undefined
    this.armedFor = Infinity
    this.setBy(this.ring(this.clock.now()))
  }

  clear(): void {
    if (this.timer !== undefined) this.clock.clearTimer(this.timer)
    this.timer = undefined
    this.armedFor = Infinity
  }
}
