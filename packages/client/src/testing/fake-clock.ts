/** Time that passes when a test says so. */
import type { Clock } from '../clock.js'

interface FakeTimer {
  readonly at: number
  readonly wake: () => void
}

export class FakeClock implements Clock {
  private time = 1_000
  private readonly timers = new Set<FakeTimer>()

  now(): number {
    return this.time
  }

  get timerCount(): number {
    return this.timers.size
  }

  setTimer(wake: () => void, ms: number): unknown {
    const timer = { at: this.time + ms, wake }
    this.timers.add(timer)
    return timer
  }

  clearTimer(timer: unknown): void {
    this.timers.delete(timer as FakeTimer)
  }

  /** Lets `ms` pass: timers go off in the order of their times. */
  advance(ms: number): void {
    const end = this.time + ms
    for (;;) {
      const next = this.nextBy(end)
      if (next === undefined) break
      this.timers.delete(next)
      this.time = Math.max(this.time, next.at)
      next.wake()
    }
    this.time = end
  }

  private nextBy(end: number): FakeTimer | undefined {
    let next: FakeTimer | undefined
    for (const timer of this.timers) {
      if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer
    }
    return next
  }
}
