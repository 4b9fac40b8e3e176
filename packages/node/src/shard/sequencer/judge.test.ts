import { encodeValue, WireWriter } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { Answer } from '../answer.js'
import type { Held } from '../held.js'
import { tombstone } from '../held.js'
import {
  faultOf,
  incrementCall,
  readCountAnswer,
  readCounterAnswer,
  readEntryAnswer,
  setCall,
} from '../testing/calls.js'
import { textHeld, textOf } from '../testing/entries.js'
import type { Decided, NewestState, SingleCall, Verdict } from './judge.js'
import { judge } from './judge.js'

const NOW_MS = 1_000
const REVISION = 50

function stateOf(entries: Record<string, Held>, looked: string[] = []): NewestState {
  return {
    newest(key) {
      looked.push(key)
      return entries[key]
    },
    isEnded: (key, nowMs) => {
      const held = entries[key]
      return held !== undefined && held.expiresAt !== 0 && held.expiresAt <= nowMs
    },
    firstKeys: () => ({ keys: Object.keys(entries), resume: undefined }),
  }
}

function verdictOn(call: SingleCall, entries: Record<string, Held> = {}): Verdict {
  return judge(call, stateOf(entries), NOW_MS)
}

function accepted(verdict: Verdict): { effects: readonly Decided[]; answer: Answer } {
  if (!verdict.accepted) throw new Error('the call was refused')
  return { effects: verdict.effects, answer: verdict.answer(REVISION) }
}

function refused(verdict: Verdict): Answer {
  if (verdict.accepted) throw new Error('the call was accepted')
  return verdict.answer
}

function numberHeld(value: number, version = 1, expiresAt = 0): Held {
  const memory = new WireWriter()
  encodeValue(memory, value)
  return { version, expiresAt, memory, start: 0, end: memory.position }
}

/** What all of these are to a condition: nothing. */
const ABSENT: [string, Record<string, Held>][] = [
  ['never written', {}],
  ['deleted', { a: tombstone(9) }],
  ['expired just now', { a: textHeld('old', 9, { expiresAt: NOW_MS }) }],
]

describe('judge: set', () => {
  test('without condition → accepted without looking at the state', () => {
    const looked: string[] = []
    const verdict = judge(setCall('a', 'x'), stateOf({ a: textHeld('old') }, looked), NOW_MS)
    const { effects, answer } = accepted(verdict)
    expect(effects).toMatchObject([{ type: 'put', key: 'a', expiresAt: 0 }])
    expect(answer).toBe(REVISION)
    expect(looked).toEqual([])
  })

  test.each(ABSENT)('only if there is none, and it was %s → accepted', (_name, entries) => {
    expect(accepted(verdictOn(setCall('a', 'x', { ifVersion: null }), entries)).answer).toBe(
      REVISION,
    )
  })

  test('only if there is none, and there is → the current entry', () => {
    const entries = { a: textHeld('there', 9, { expiresAt: NOW_MS + 1 }) }
    const answer = refused(verdictOn(setCall('a', 'x', { ifVersion: null }), entries))
    expect(readEntryAnswer(answer)).toEqual({ version: 9, expiresAt: NOW_MS + 1, text: 'there' })
  })

  test('over the version there is → accepted', () => {
    const verdict = verdictOn(setCall('a', 'x', { ifVersion: 9 }), { a: textHeld('there', 9) })
    expect(accepted(verdict).answer).toBe(REVISION)
  })

  test.each([8, 10])('over version %i where there is 9 → the current entry', (ifVersion) => {
    const answer = refused(verdictOn(setCall('a', 'x', { ifVersion }), { a: textHeld('there', 9) }))
    expect(readEntryAnswer(answer)).toMatchObject({ version: 9, text: 'there' })
  })

  test.each(ABSENT)(
    'over a version, and the key was %s → refused with nothing',
    (_name, entries) => {
      const answer = refused(verdictOn(setCall('a', 'x', { ifVersion: 9 }), entries))
      expect(readEntryAnswer(answer)).toBeUndefined()
    },
  )
})

describe('judge: expiry of a set', () => {
  function expiryOf(call: SingleCall, entries: Record<string, Held> = {}): number | undefined {
    const effect = accepted(verdictOn(call, entries)).effects.at(-1)
    return effect?.type === 'put' ? effect.expiresAt : undefined
  }

  test.each([
    ['ttl', 1, NOW_MS + 1],
    ['ttl', 0.25, NOW_MS + 1],
    ['ttl', 1e-300, NOW_MS],
    ['ttl', Number.MAX_VALUE, Number.MAX_SAFE_INTEGER],
    ['at', NOW_MS + 7, NOW_MS + 7],
    ['at', NOW_MS + 6.5, NOW_MS + 7],
    ['at', Number.MAX_VALUE, Number.MAX_SAFE_INTEGER],
  ] as const)('%s %d → ends at %d', (kind, ms, expiresAt) => {
    expect(expiryOf(setCall('a', 'x', { expiry: { kind, ms } }))).toBe(expiresAt)
  })

  test.each([0, -5, NOW_MS - 1])('at %d, which is over → ends at once, never «no expiry»', (ms) => {
    const expiresAt = expiryOf(setCall('a', 'x', { expiry: { kind: 'at', ms } }))
    expect(expiresAt).toBeGreaterThan(0)
    expect(expiresAt).toBeLessThanOrEqual(NOW_MS)
  })

  test('none → an expiry there was is gone', () => {
    const entries = { a: textHeld('old', 1, { expiresAt: NOW_MS + 5 }) }
    expect(expiryOf(setCall('a', 'x'), entries)).toBe(0)
  })

  test('keep → the expiry of the visible entry, none where there is no such entry', () => {
    const keep = setCall('a', 'x', { expiry: { kind: 'keep' } })
    expect(expiryOf(keep, { a: textHeld('old', 1, { expiresAt: NOW_MS + 5 }) })).toBe(NOW_MS + 5)
    expect(expiryOf(keep, { a: textHeld('old', 1) })).toBe(0)
    for (const [, entries] of ABSENT) expect(expiryOf(keep, entries)).toBe(0)
  })
})

describe('judge: delete', () => {
  test.each(ABSENT)('the key was %s → false, and nothing is logged', (_name, entries) => {
    expect(refused(verdictOn({ type: 'delete', key: 'a' }, entries))).toBe(false)
  })

  test('the key is there → deleted', () => {
    const { effects, answer } = accepted(
      verdictOn({ type: 'delete', key: 'a' }, { a: textHeld('x') }),
    )
    expect(effects).toEqual([{ type: 'delete', key: 'a' }])
    expect(answer).toBe(true)
  })

  test('by version → only that version, else the current entry', () => {
    const entries = { a: textHeld('x', 9) }
    expect(accepted(verdictOn({ type: 'deleteIf', key: 'a', version: 9 }, entries)).answer).toBe(
      true,
    )
    const answer = refused(verdictOn({ type: 'deleteIf', key: 'a', version: 8 }, entries))
    expect(readEntryAnswer(answer)).toMatchObject({ version: 9 })
  })

  test.each(ABSENT)('by version, and the key was %s → refused with nothing', (_name, entries) => {
    const answer = refused(verdictOn({ type: 'deleteIf', key: 'a', version: 9 }, entries))
    expect(readEntryAnswer(answer)).toBeUndefined()
  })
})

describe('judge: touch', () => {
  test.each(ABSENT)('the key was %s → false', (_name, entries) => {
    expect(refused(verdictOn({ type: 'touch', key: 'a', ttlMs: 5 }, entries))).toBe(false)
  })

  test.each([
    [5, NOW_MS + 5],
    [undefined, 0],
  ])('ttl %s → expiry %i, value and version as they were', (ttlMs, expiresAt) => {
    const entries = { a: textHeld('value', 9, { expiresAt: NOW_MS + 1 }) }
    const [effect] = accepted(verdictOn({ type: 'touch', key: 'a', ttlMs }, entries)).effects
    const held = effect?.type === 'touch' ? effect.held : undefined
    expect(held).toMatchObject({ version: 9, expiresAt })
    expect(textOf(held)).toBe('value')
  })

  test('the memory it was found in is used again → the touched value stays', () => {
    const found = textHeld('value', 9)
    const [effect] = accepted(
      verdictOn({ type: 'touch', key: 'a', ttlMs: 5 }, { a: found }),
    ).effects
    found.memory.bytes.fill(0)
    expect(textOf(effect?.type === 'touch' ? effect.held : undefined)).toBe('value')
  })
})

describe('judge: a write over an entry whose time is over', () => {
  const entries = { a: textHeld('old', 1, { expiresAt: NOW_MS }) }

  test.each([
    ['set', setCall('a', 'new')],
    ['increment', incrementCall('a', 1)],
  ])('%s → carries its end, then the value (P6)', (_name, call) => {
    const { effects } = accepted(verdictOn(call, entries))
    expect(effects).toMatchObject([
      { type: 'expire', key: 'a' },
      { type: 'put', key: 'a' },
    ])
  })

  test('over one whose time is not over → the value alone', () => {
    const alive = { a: textHeld('old', 1, { expiresAt: NOW_MS + 1 }) }
    expect(accepted(verdictOn(setCall('a', 'new'), alive)).effects).toHaveLength(1)
  })
})

describe('judge: increment', () => {
  function counterOf(call: SingleCall, entries: Record<string, Held> = {}) {
    const { effects, answer } = accepted(verdictOn(call, entries))
    const effect = effects.at(-1)
    const stored = effect?.type === 'put' ? effect.expiresAt : undefined
    const [value, version, expiresAt] = readCounterAnswer(answer)
    return { value, version, expiresAt, stored }
  }

  test.each(ABSENT)('the key was %s → counts from 0 and takes the ttl', (_name, entries) => {
    const call = incrementCall('a', 3, { ttlMs: 20 })
    const expiresAt = NOW_MS + 20
    expect(counterOf(call, entries)).toEqual({
      value: 3,
      version: REVISION,
      expiresAt,
      stored: expiresAt,
    })
  })

  test('a counter → its expiry stays, the ttl is for creation only', () => {
    const call = incrementCall('a', -2, { ttlMs: 20 })
    expect(counterOf(call, { a: numberHeld(5, 9, NOW_MS + 3) })).toMatchObject({
      value: 3,
      expiresAt: NOW_MS + 3,
      stored: NOW_MS + 3,
    })
    expect(counterOf(call, { a: numberHeld(5) })).toMatchObject({ expiresAt: 0, stored: 0 })
  })

  test('beyond a bound or no number → a fault, not applied, nothing logged', () => {
    const range = refused(verdictOn(incrementCall('a', 1, { max: 5 }), { a: numberHeld(5) }))
    expect(faultOf(range)).toBe('OUT_OF_RANGE not-applied')
    const text = refused(verdictOn(incrementCall('a', 1), { a: textHeld('\u00a1x') }))
    expect(faultOf(text)).toBe('NOT_A_NUMBER not-applied')
  })
})

describe('judge: clear', () => {
  const call: SingleCall = { type: 'clear', shard: 0, from: '', to: undefined }

  test('keys in the range → deleted as one entry, their number and where to go on', () => {
    const state = { ...stateOf({}), firstKeys: () => ({ keys: ['a', 'b'], resume: 'c' }) }
    const { effects, answer } = accepted(judge(call, state, NOW_MS))
    expect(effects).toEqual([
      { type: 'delete', key: 'a' },
      { type: 'delete', key: 'b' },
    ])
    expect(readCountAnswer(answer)).toEqual({ count: 2, resume: 'c' })
  })

  test('no key on this step → nothing is logged, and the next step is named', () => {
    const state = { ...stateOf({}), firstKeys: () => ({ keys: [], resume: 'c' }) }
    expect(readCountAnswer(refused(judge(call, state, NOW_MS)))).toEqual({ count: 0, resume: 'c' })
  })
})
