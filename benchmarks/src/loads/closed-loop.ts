/**
 * A closed loop of calls: as many in flight as there are lanes, each followed by the next as soon as it
 * is answered.
 */
import { Latencies } from '../latencies.js'
import type { Call } from './calls.js'
import type { Measurement } from './load.js'

/** Rejects if a call does: a store that fails has no figure. */
export async function runLanes(lanes: readonly Call[], seconds: number): Promise<Measurement> {
  const latencies = new Latencies()
  const started = performance.now()
  const endAt = started + seconds * 1_000
  const cpu = process.cpuUsage()
  let calls = 0
  let isOver = false
  const follow = async (call: Call): Promise<void> => {
    for (let begun = performance.now(); begun < endAt && !isOver;) {
      await call()
      const ended = performance.now()
      latencies.add(ended - begun)
      begun = ended
      calls += 1
    }
  }
  try {
    await Promise.all(lanes.map(follow))
  } finally {
    isOver = true
  }
  const elapsedMs = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  return {
    calls,
    callsPerSecond: (calls * 1_000) / elapsedMs,
    ...latencies.summary(),
    clientMicrosPerCall: (user + system) / calls,
  }
}
