/**
 * Ends the demo early: the first signal asks it to put everything away, a later one forces.
 *
 * A terminal sends Ctrl-C to every process of the group, and npm may repeat it: what comes within
 * half a second is the same wish.
 */
import { constants } from 'node:os'

const SAME_WISH_MS = 500
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Added to a signal's number it is what shells report of a process that the signal has ended. */
const SIGNAL_EXIT_BASE = 128

export class Interruption {
  readonly #controller = new AbortController()
  #firstAtMs: number | undefined
  #exitCode: number | undefined

  constructor() {
    for (const name of SIGNALS) {
      process.on(name, () => this.#onSignal(SIGNAL_EXIT_BASE + constants.signals[name], name))
    }
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What to exit with, if there was a reason to stop. */
  get exitCode(): number | undefined {
    return this.#exitCode
  }

  stop(exitCode: number, why: string): void {
    if (this.signal.aborted) return
    this.#exitCode = exitCode
    this.#controller.abort(new Error(why))
  }

  #onSignal(exitCode: number, name: string): void {
    const nowMs = performance.now()
    this.#firstAtMs ??= nowMs
    if (nowMs - this.#firstAtMs > SAME_WISH_MS) process.exit(exitCode)
    this.stop(exitCode, `stopped by ${name}`)
  }
}
