/** Measures single calls: how many there were, and how long each took from call to answer. */
import type { RecordableHistogram } from 'node:perf_hooks'
import { createHistogram } from 'node:perf_hooks'

const NS_PER_MS = 1e6

export interface Latencies {
  readonly calls: number
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export class Meter {
  readonly #histogram: RecordableHistogram = createHistogram()

  record(elapsedMs: number): void {
    // The histogram takes whole numbers from 1 up.
    this.#histogram.record(Math.max(1, Math.round(elapsedMs * NS_PER_MS)))
  }

  latencies(elapsedMs: number): Latencies {
    const { count: calls, max } = this.#histogram
    const percentileMs = (percentile: number): number =>
      calls === 0 ? 0 : this.#histogram.percentile(percentile) / NS_PER_MS
    return {
      calls,
      callsPerSecond: elapsedMs > 0 ? (calls / elapsedMs) * 1000 : 0,
      p50Ms: percentileMs(50),
      p99Ms: percentileMs(99),
      maxMs: calls === 0 ? 0 : max / NS_PER_MS,
    }
  }
}

export interface Measurement {
  readonly inFlight: number
  readonly durationMs: number
  readonly signal: AbortSignal
}

/** Keeps `inFlight` calls going for a while; each is measured from its start to its answer. */
export async function measureCalls(
  call: () => Promise<unknown>,
  { inFlight, durationMs, signal }: Measurement,
): Promise<Latencies> {
  const meter = new Meter()
  const startMs = performance.now()
  const lane = async (): Promise<void> => {
    for (;;) {
      const beforeMs = performance.now()
      if (beforeMs - startMs >= durationMs || signal.aborted) return
      await call()
      meter.record(performance.now() - beforeMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  signal.throwIfAborted()
  return meter.latencies(performance.now() - startMs)
}
