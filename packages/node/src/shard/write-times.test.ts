import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WriteTimeWindows } from './write-times.js'

describe('write times', () => {
  test('nothing written → nothing to tell', () => {
    expect(new WriteTimeWindows(0).read(5)).toBe(undefined)
  })

  test('any times → never less than it was, at most a quarter and 6 µs more', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 60_000, noNaN: true }), { minLength: 1 }),
        (timesMs) => {
          const windows = new WriteTimeWindows(0)
          for (const timeMs of timesMs) windows.record(5_000 - timeMs, 5_000, 1)
          const sorted = timesMs.toSorted((one, other) => one - other)
          const { writeP50Ms = 0, writeP99Ms = 0 } = windows.read(5_000) ?? {}
          for (const [share, told] of [
            [0.5, writeP50Ms],
            [0.99, writeP99Ms],
          ] as const) {
            const was = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!
            expect(told).toBeGreaterThanOrEqual(was - 1e-6)
            expect(told).toBeLessThanOrEqual(was * 1.25 + 0.006)
          }
        },
      ),
    )
  })

  test('a group counts as many writes as it has', () => {
    const windows = new WriteTimeWindows(0)
    windows.record(0, 1, 1_000)
    windows.record(0, 100, 9)
    expect(windows.read(1)!.writeP99Ms).toBeLessThan(2)
    windows.record(0, 100, 20)
    expect(windows.read(1)!.writeP99Ms).toBeGreaterThanOrEqual(100)
  })

  test('10 to 20 s later → forgotten', () => {
    const windows = new WriteTimeWindows(0)
    windows.record(0, 8, 1)
    expect(windows.read(10_001)).toBeDefined()
    expect(windows.read(20_002)).toBe(undefined)
    windows.record(20_002, 20_003, 1)
    expect(windows.read(50_000)).toBe(undefined)
  })
})
