/**
 * Work of several calls, and of the user's own code between them, that must end in time.
 */
import { watchAbort } from './abort-watch.js'
import type { Clock } from './clock.js'

export interface TimeboxOptions {
  /** By the clock. */
  readonly deadline: number
  readonly signal: AbortSignal | undefined
  /** What the promise rejects with when the deadline comes first. */
  readonly timeoutError: () => Error
}

/** Settles as `work` does, unless the deadline or an abort comes first. */
export function timebox<T>(clock: Clock, work: Promise<T>, options: TimeboxOptions): Promise<T> {
  const { deadline, signal, timeoutError } = options
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(
      () => {
        leave()
        reject(timeoutError())
      },
      Math.max(0, deadline - clock.now()),
    )
    const forget =
      signal &&
      watchAbort(signal, () => {
        leave()
        reject(signal.reason as Error)
      })
    function leave(): void {
      clock.clearTimer(timer)
      forget?.()
    }
    work.then(resolve, reject).finally(leave)
  })
}

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(resolve, ms)
  })
}
