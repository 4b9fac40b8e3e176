import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ErrorCode } from './errors.js'
import { ERROR_RULES, KvError, MOVED, errorCodeOf } from './errors.js'

const codes = Object.keys(ERROR_RULES) as ErrorCode[]
const documented = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')

describe('errors: the table', () => {
  test('errors: wire numbers → positive, unique, and not the number of MOVED', () => {
    const numbers = codes.map((code) => ERROR_RULES[code].wire)
    expect(new Set([...numbers, MOVED]).size).toBe(codes.length + 1)
    for (const number of numbers) expect(number).toBeGreaterThan(0)
  })

  // A number that was ever published means the same for ever.
  test('errors: wire numbers → never changed', () => {
    expect(Object.fromEntries(codes.map((code) => [code, ERROR_RULES[code].wire]))).toEqual({
      INVALID_KEY: 1,
      INVALID_VALUE: 2,
      INVALID_CURSOR: 3,
      VALUE_TOO_LARGE: 4,
      BATCH_TOO_LARGE: 5,
      OUT_OF_RANGE: 6,
      NOT_A_NUMBER: 7,
      CONFLICT: 8,
      CROSS_SHARD: 9,
      LOCKED: 10,
      LOCK_LOST: 11,
      UNAUTHENTICATED: 12,
      FORBIDDEN: 13,
      TIMEOUT: 14,
      CLOSED: 15,
      OVERLOADED: 16,
      NO_SPACE: 17,
      UNAVAILABLE: 18,
      PROTOCOL: 19,
    })
  })

  test.each(codes)('errors: %s → its number leads back to it', (code) => {
    expect(errorCodeOf(ERROR_RULES[code].wire)).toBe(code)
  })

  test('errors: a number of a later version → PROTOCOL', () => {
    expect(errorCodeOf(0)).toBe('PROTOCOL')
    expect(errorCodeOf(9_999)).toBe('PROTOCOL')
  })

  test.each(codes)(
    'errors: %s → its heading in docs/errors.md says what the table says',
    (code) => {
      const section = documented.split(/^## /mu).find((part) => part.startsWith(`${code}\n`)) ?? ''
      const { wire, retryable, outcome } = ERROR_RULES[code]
      expect(section).toContain(
        `Number ${wire} · retryable: ${retryable ? 'yes' : 'no'} · outcome: ${outcome}`,
      )
    },
  )

  test('errors: headings in docs/errors.md → no other codes', () => {
    const headings = Array.from(documented.matchAll(/^## ([A-Z_]+)$/gmu), (match) => match[1])
    expect(headings).toEqual(codes)
  })
})

describe('errors: KvError', () => {
  test.each(codes)('errors: a %s → retryable and outcome of the table', (code) => {
    const error = new KvError(code, 'what happened')
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'KvError',
      message: 'what happened',
      code,
      retryable: ERROR_RULES[code].retryable,
      outcome: ERROR_RULES[code].outcome,
    })
  })

  test('errors: the place that raises it knows better → its outcome', () => {
    expect(new KvError('TIMEOUT', 'x', { outcome: 'not-applied' }).outcome).toBe('not-applied')
  })

  test('errors: cause, results and issues → there only if given', () => {
    const bare = new KvError('CONFLICT', 'x')
    for (const name of ['cause', 'results', 'issues']) expect(Object.hasOwn(bare, name)).toBe(false)
    const cause = new Error('first')
    const full = new KvError('CONFLICT', 'x', { cause, results: [1], issues: [2] })
    expect(full).toMatchObject({ cause, results: [1], issues: [2] })
  })
})
