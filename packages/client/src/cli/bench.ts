/**
 * `kv bench`: what this node gives this machine, in a few seconds. So many calls are always in flight;
 * each that ends is followed by the next.
 */
import { randomBytes } from 'node:crypto'
import type { UntypedClient } from '../kv-client.js'
import type { BenchLoad } from './command-line.js'
import type { Output } from './data-commands.js'
import { jsonOf } from './value-text.js'

const PREFIX = 'kv-bench/'
/** Of the latencies: one in so many is kept, so that an hour of them has room. */
const SAMPLES_MAX = 1_000_000
const FILL_KEYS = 1_000

interface Measured {
  readonly call: string
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export async function bench(
  client: UntypedClient,
  load: BenchLoad,
  out: Output,
  signal: AbortSignal,
): Promise<boolean> {
  const prefix = `${PREFIX}${randomBytes(6).toString('hex')}/`
  const keyOf = (index: number): string => `${prefix}${index}`
  const value = 'x'.repeat(load.valueBytes)
  const random = (): string => keyOf(Math.floor(Math.random() * load.keys))
  try {
    for (let from = 0; from < load.keys && !signal.aborted; from += FILL_KEYS) {
      const length = Math.min(FILL_KEYS, load.keys - from)
      await client.setMany(Array.from({ length }, (_, index) => [keyOf(from + index), value]))
    }
    const calls = [
      ['set', () => client.set(random(), value)],
      ['get', () => client.get(random())],
    ] as const
    for (const [call, make] of calls) {
      if (signal.aborted) break
      await show(await measure(call, make, load, signal), load, out)
    }
  } finally {
    await client.clear({ prefix })
  }
  return !signal.aborted
}

async function measure(
  call: string,
  make: () => Promise<unknown>,
  { seconds, inFlight }: BenchLoad,
  signal: AbortSignal,
): Promise<Measured> {
  const samples: number[] = []
  let count = 0
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1_000
  const oneAfterAnother = async (): Promise<void> => {
    for (let now = performance.now(); now < endsAt && !signal.aborted;) {
      await make()
      const endedAt = performance.now()
      if (samples.length < SAMPLES_MAX) samples.push(endedAt - now)
      else samples[Math.floor(Math.random() * SAMPLES_MAX)] = endedAt - now
      now = endedAt
      count += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, oneAfterAnother))
  const callsPerSecond = (count * 1_000) / (performance.now() - startedAt)
  const ordered = Float64Array.from(samples).toSorted()
  const at = (share: number): number => ordered[Math.floor(share * (ordered.length - 1))] ?? 0
  return { call, callsPerSecond, p50Ms: at(0.5), p99Ms: at(0.99) }
}

async function show(measured: Measured, { inFlight }: BenchLoad, out: Output): Promise<void> {
  const { call, callsPerSecond, p50Ms, p99Ms } = measured
  const rate = Math.round(callsPerSecond).toLocaleString('en')
  await out.line(
    out.isJson
      ? jsonOf({ ...measured, inFlight })
      : `${call}, ${inFlight} in flight: ${rate}/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
  )
}
