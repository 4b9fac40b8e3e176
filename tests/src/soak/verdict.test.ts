import { expect, test } from 'vitest'
import type { Usage } from './usage.js'
import { judge } from './verdict.js'

const MEBIBYTE = 1_048_576

function samples(change: (minute: number) => Partial<Usage>): Usage[] {
  return Array.from({ length: 60 }, (_, minute) => ({
    atMs: minute * 60_000,
    ownBytes: 500 * MEBIBYTE + (minute % 7) * MEBIBYTE,
    descriptors: 200 + (minute % 3),
    stateBytes: 150 * MEBIBYTE,
    logBytes: 90 * MEBIBYTE,
    liveBytes: 80 * MEBIBYTE,
    ...change(minute),
  }))
}

test('soak: the same at the end as after the warm-up → nothing found', () => {
  expect(judge(samples(() => ({}))).findings).toEqual([])
  const warmingUp = samples((minute) => (minute < 20 ? { ownBytes: minute * MEBIBYTE } : {}))
  expect(judge(warmingUp).findings).toEqual([])
})

test('soak: memory that grows all the time → found, with its slope', () => {
  const leaking = samples((minute) => ({ ownBytes: (500 + minute * 4) * MEBIBYTE }))
  const { findings, slopeBytesPerHour } = judge(leaking)
  expect(Math.round(slopeBytesPerHour / MEBIBYTE)).toBe(240)
  expect(findings).toEqual(['memory grows by 240 MiB an hour'])
})

test('soak: files out of proportion, descriptors that are left open → found', () => {
  expect(judge(samples(() => ({ stateBytes: 241 * MEBIBYTE }))).findings).toHaveLength(1)
  expect(judge(samples((minute) => ({ descriptors: 200 + 2 * minute }))).findings).toHaveLength(1)
})

test('soak: too few samples → no verdict', () => {
  expect(() => judge(samples(() => ({})).slice(0, 3))).toThrow(RangeError)
})
