/**
 * A closed loop of calls: as many in flight as asked, each followed by the next as soon as it is
 * answered, over keys drawn at random.
 */
import { Latencies } from './latencies.js'
import type { PeerClient } from './peers/peer.js'

export interface LoadOptions {
  readonly operation: 'get' | 'set'
  readonly inFlight: number
  readonly seconds: number
  readonly keys: number
  readonly valueBytes: number
}

export interface Measured extends LoadOptions {
  readonly calls: number
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time of this process: the client, and the loop, which costs every peer the same. */
  readonly clientMicrosPerCall: number
}

export function keyAt(index: number): string {
  return `bench:key:${String(index).padStart(8, '0')}`
}

/** The same keys in the same order for every peer (xorshift32). */
function randomKeys(count: number, seed: number): () => string {
  let state = seed
  const keys = Array.from({ length: count }, (_, index) => keyAt(index))
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return keys[(state >>> 0) % count] as string
  }
}

/** Writes every key once, so that every get of the run hits. */
export async function fill(client: PeerClient, options: LoadOptions): Promise<void> {
  const value = 'x'.repeat(options.valueBytes)
  for (let start = 0; start < options.keys; start += 500) {
    const end = Math.min(start + 500, options.keys)
    await Promise.all(
      Array.from({ length: end - start }, (_, offset) => client.set(keyAt(start + offset), value)),
    )
  }
}

export async function run(client: PeerClient, options: LoadOptions): Promise<Measured> {
  const latencies = new Latencies()
  const nextKey = randomKeys(options.keys, 2_463_534_242)
  const value = 'x'.repeat(options.valueBytes)
  const started = performance.now()
  const endAt = started + options.seconds * 1_000
  const cpu = process.cpuUsage()
  let calls = 0
  const lane = async (): Promise<void> => {
    for (let begun = performance.now(); begun < endAt;) {
      if (options.operation === 'get') await client.get(nextKey())
      else await client.set(nextKey(), value)
      const ended = performance.now()
      latencies.add(ended - begun)
      begun = ended
      calls += 1
    }
  }
  await Promise.all(Array.from({ length: options.inFlight }, lane))
  const elapsedMs = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  return {
    ...options,
    calls,
    callsPerSecond: (calls * 1_000) / elapsedMs,
    ...latencies.summary(),
    clientMicrosPerCall: (user + system) / calls,
  }
}
