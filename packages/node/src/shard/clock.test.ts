import { describe, expect, test } from 'vitest'
import { monotonicClock } from './clock.js'

function reading(wallMs: number) {
  return { wallMs, monotonicNs: process.hrtime.bigint().toString() }
}

describe('clock', () => {
  test('from a reading of any wall clock → goes on from it, in whole milliseconds', () => {
    for (const wallMs of [0, 1_700_000_000_000, 2 ** 44]) {
      const nowMs = monotonicClock(reading(wallMs)).now()
      expect(nowMs).toBeGreaterThanOrEqual(wallMs - 1)
      expect(Number.isSafeInteger(nowMs)).toBe(true)
    }
  })

  test('asked again and again → never goes back', () => {
    const clock = monotonicClock(reading(1_000))
    let previous = clock.now()
    for (let asked = 0; asked < 10_000; asked += 1) {
      const now = clock.now()
      expect(now >= previous).toBe(true)
      previous = now
    }
  })

  test('the reading is old → what has passed since is counted', () => {
    const anHourAgo = process.hrtime.bigint() - 3_600_000_000_000n
    const clock = monotonicClock({ wallMs: 5, monotonicNs: anHourAgo.toString() })
    expect(clock.now()).toBeGreaterThanOrEqual(3_600_004)
  })
})
