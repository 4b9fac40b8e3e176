import { expect, test } from 'vitest'
import { pauseAfter } from './backoff.js'

test('backoff: failures in a row → at once, then 100, 200, 400 ms … up to 30 s', () => {
  const full = Array.from({ length: 12 }, (_, index) => pauseAfter(index + 1, 1))
  expect(full).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000])
})

test('backoff: chance → between half of the pause and all of it', () => {
  expect(pauseAfter(5, 0)).toBe(400)
  expect(pauseAfter(5, 0.5)).toBe(600)
  expect(pauseAfter(1_000, 0)).toBe(15_000)
})
