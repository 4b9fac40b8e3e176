/**
 * Ends the program on SIGTERM and SIGINT: the first drains, a later one forces.
 *
 * A terminal sends Ctrl-C to every process of the group and some supervisors send a signal twice:
 * what comes within half a second is the same wish.
 */
const SAME_WISH_MS = 500

/** However the drain goes, the program ends before an orchestrator would kill it. */
const DRAIN_MS_MAX = 9_500

export interface Ending {
  /** Resolves when everything is put away. */
  readonly close: () => Promise<void>
  readonly exit: (code: number) => void
  readonly onFailure: (error: unknown) => void
}

export function endOnSignals(ending: Ending): void {
  let firstAtMs: number | undefined
  const onSignal = (): void => {
    const nowMs = performance.now()
    if (firstAtMs === undefined) {
      firstAtMs = nowMs
      setTimeout(() => ending.exit(1), DRAIN_MS_MAX).unref()
      ending.close().then(
        () => ending.exit(0),
        (error: unknown) => {
          ending.onFailure(error)
          ending.exit(1)
        },
      )
    } else if (nowMs - firstAtMs > SAME_WISH_MS) ending.exit(1)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
