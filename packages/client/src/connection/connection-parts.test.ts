import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs } from './backoff.js'
import { judgeSilence, PONG_MS_MAX, SILENCE_MS_MAX } from './liveness.js'

test('backoff: any failures and chance → below a bound that doubles up to the largest', () => {
  const delays = { baseMs: 25, maxMs: 2_000 }
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.nat(1_000), chance, (failures, random) => {
      const wait = backoffMs(delays, failures, () => random)
      expect(wait).toBeGreaterThanOrEqual(0)
      expect(wait).toBeLessThanOrEqual(Math.min(2_000, 25 * 2 ** failures))
    }),
  )
})

test.each([
  ['heard a moment ago', { heardAt: 100, pingedAt: undefined, isAnswerDue: true }, 'wait'],
  ['silent, nothing due', { heardAt: -20_000, pingedAt: undefined, isAnswerDue: false }, 'wait'],
  ['silent, answer due', { heardAt: -20_000, pingedAt: undefined, isAnswerDue: true }, 'ping'],
  ['pinged just now', { heardAt: -20_000, pingedAt: 100, isAnswerDue: true }, 'wait'],
  ['no pong', { heardAt: -20_000, pingedAt: 100 - PONG_MS_MAX, isAnswerDue: true }, 'lost'],
])('liveness: %s → %s', (_, silence, kind) => {
  expect(judgeSilence({ now: 100, ...silence }).kind).toBe(kind)
})

test('liveness: the next look → when silence has lasted long enough', () => {
  const silence = { now: 100, heardAt: 50, pingedAt: undefined, isAnswerDue: true }
  expect(judgeSilence(silence)).toEqual({ kind: 'wait', until: 50 + SILENCE_MS_MAX })
})
