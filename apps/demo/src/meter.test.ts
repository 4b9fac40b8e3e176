import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Meter, measureCalls } from './meter.js'

describe('Meter', () => {
  it('1 to 100 ms → the percentiles of them, to three digits', () => {
    const meter = new Meter()
    for (let ms = 1; ms <= 100; ms += 1) meter.record(ms)
    const latencies = meter.latencies(2_000)
    expect(latencies.calls).toBe(100)
    expect(latencies.callsPerSecond).toBe(50)
    expect(latencies.p50Ms).toBeCloseTo(50, 0)
    expect(latencies.p99Ms).toBeCloseTo(99, 0)
    expect(latencies.maxMs).toBeCloseTo(100, 0)
  })

  it('no call → zeros, not the least a histogram knows', () => {
    const none = { calls: 0, callsPerSecond: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }
    expect(new Meter().latencies(0)).toEqual(none)
  })
})

describe('measureCalls', () => {
  it('keeps as many calls in flight as asked for, never more', async () => {
    let inFlight = 0
    let most = 0
    const call = async (): Promise<void> => {
      inFlight += 1
      most = Math.max(most, inFlight)
      await delay(2)
      inFlight -= 1
    }
    const { signal } = new AbortController()
    const { calls, p50Ms } = await measureCalls(call, { inFlight: 8, durationMs: 50, signal })
    expect(most).toBe(8)
    expect(inFlight).toBe(0)
    expect(calls).toBeGreaterThanOrEqual(8)
    expect(p50Ms).toBeGreaterThan(1)
  })

  it('aborted → stops and rejects with the reason', async () => {
    const controller = new AbortController()
    const call = async (): Promise<void> => {
      await delay(1)
      controller.abort(new Error('enough'))
    }
    const measuring = measureCalls(call, {
      inFlight: 2,
      durationMs: 60_000,
      signal: controller.signal,
    })
    await expect(measuring).rejects.toThrow('enough')
  })
})
