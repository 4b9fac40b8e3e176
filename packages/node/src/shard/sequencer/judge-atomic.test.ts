import type { AtomicOperation } from '@kv/protocol'
import { atomicCall, encodeValue, PAGE_BYTES_SOFT, WireWriter } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { Held } from '../held.js'
import { tombstone } from '../held.js'
import { readAtomicAnswer } from '../testing/atomic-model.js'
import { faultOf, incrementCall, readEntryFrom, setCall } from '../testing/calls.js'
import { textHeld } from '../testing/entries.js'
import { judgeAtomic } from './judge-atomic.js'
import { RESULT_KINDS } from './record.js'

const NOW_MS = 1_000
const NEWEST = 49

interface Judged {
  readonly answer: unknown
  readonly effects: readonly object[]
  readonly resultKind: number | undefined
}

function judged(
  operations: readonly AtomicOperation[],
  entries: Readonly<Record<string, Held>> = {},
): Judged {
  const call = atomicCall(operations)
  const state = {
    newest: (key: string) => entries[key],
    firstKeys: () => ({ keys: [], resume: undefined }),
    newestRevision: NEWEST,
    isEnded: (key: string) => {
      const held = entries[key]
      return held !== undefined && held.expiresAt !== 0 && held.expiresAt <= NOW_MS
    },
  }
  const verdict = judgeAtomic(call, state, NOW_MS)
  const answer = verdict.accepted ? verdict.answer(NEWEST + 1) : verdict.answer
  const fault = faultOf(answer)
  return {
    answer:
      fault ??
      readAtomicAnswer(call, answer, (reader) =>
        reader.isNil() || reader.isArray() ? readEntryFrom(reader) : reader.boolean(),
      ),
    effects: verdict.accepted ? verdict.effects.map(brief) : [],
    resultKind: verdict.accepted ? verdict.resultKind : undefined,
  }
}

function brief(effect: object): object {
  if (!('source' in effect)) return 'held' in effect ? { ...effect, held: undefined } : effect
  const { source, start, end, ...rest } = effect as {
    source: Uint8Array
    start: number
    end: number
  }
  return { ...rest, text: Buffer.from(source.subarray(start, end)).toString() }
}

function check(key: string, version: number | null): AtomicOperation {
  return { type: 'check', key, version }
}

function remove(key: string): AtomicOperation {
  return { type: 'delete', key }
}

function touch(key: string, ttlMs?: number): AtomicOperation {
  return { type: 'touch', key, ttlMs }
}

function counterHeld(value: number): Held {
  const memory = new WireWriter()
  encodeValue(memory, value)
  return { version: 3, expiresAt: 0, memory, start: 0, end: memory.position }
}

describe('judge atomic: checks', () => {
  test('all hold → the operations are done, as one revision', () => {
    const entries = { a: textHeld('old', 7), gone: tombstone(8) }
    const { answer, effects } = judged(
      [check('a', 7), check('gone', null), check('never', null), setCall('a', 'new')],
      entries,
    )
    expect(answer).toEqual({ version: NEWEST + 1, results: [null, null, null, null] })
    expect(effects).toEqual([{ type: 'put', key: 'a', text: 'new', expiresAt: 0 }])
  })

  test('P4: what is logged carries its answer, for a retry', () => {
    expect(judged([setCall('a', 'x')]).resultKind).toBe(RESULT_KINDS.stored)
  })

  test('some fail → nothing is done; each key once, with what stands there', () => {
    const entries = { a: textHeld('there', 7), b: textHeld('fine', 1) }
    const { answer, effects } = judged(
      [check('b', 1), setCall('c', 'x'), check('a', 6), check('a', null), check('d', 2)],
      entries,
    )
    expect(answer).toEqual({
      conflicts: [
        [2, { version: 7, expiresAt: 0, text: 'there' }],
        [4, undefined],
      ],
    })
    expect(effects).toEqual([])
  })

  test('a check of what the batch itself writes → judged on the state before it', () => {
    const { answer } = judged([setCall('a', 'x'), check('a', null), remove('a'), check('a', null)])
    expect(answer).toMatchObject({ version: NEWEST })
  })

  test('an expired entry → is not there', () => {
    const entries = { a: textHeld('old', 7, { expiresAt: NOW_MS }) }
    expect(judged([check('a', null), setCall('a', 'x')], entries).effects).toMatchObject([
      { type: 'expire', key: 'a' },
      { type: 'put', key: 'a' },
    ])
    expect(judged([check('a', 7)], entries).answer).toEqual({ conflicts: [[0, undefined]] })
  })

  test('nothing but checks that hold → the newest revision, nothing logged', () => {
    expect(judged([check('a', null)])).toMatchObject({
      answer: { version: NEWEST, results: [null] },
      effects: [],
    })
  })

  test('P7: entries that make the answer too large → left out, but for the first', () => {
    const large = 'x'.repeat(PAGE_BYTES_SOFT)
    const entries = { a: textHeld(large, 1), b: textHeld(large, 2), c: textHeld('small', 3) }
    expect(judged([check('a', 9), check('b', 9), check('c', 9)], entries).answer).toEqual({
      conflicts: [
        [0, { version: 1, expiresAt: 0, text: large }],
        [1, false],
        [2, false],
      ],
    })
  })
})

describe('judge atomic: operations see those before them', () => {
  test('set, then increment → the counter goes on from the value set', () => {
    const one = new WireWriter()
    encodeValue(one, 1)
    const set: AtomicOperation = {
      type: 'set',
      key: 'n',
      source: one.bytes,
      start: 0,
      end: one.position,
      expiry: { kind: 'ttl', ms: 20 },
      ifVersion: undefined,
    }
    const { answer, effects } = judged([set, incrementCall('n', 4), incrementCall('n', 1)])
    const ends = NOW_MS + 20
    expect(answer).toEqual({
      version: 50,
      results: [null, [5, 50, ends], [6, 50, ends]],
    })
    expect(effects).toEqual([{ type: 'put', key: 'n', text: '\u0006', expiresAt: ends }])
  })

  test('set, then touch → one put with the later expiry', () => {
    const { answer, effects } = judged([setCall('a', 'x'), touch('a', 5), touch('a')])
    expect(answer).toMatchObject({ results: [null, true, true] })
    expect(effects).toEqual([{ type: 'put', key: 'a', text: 'x', expiresAt: 0 }])
  })

  test('delete, then touch and delete → false, they find nothing', () => {
    const { answer, effects } = judged([remove('a'), touch('a', 5), remove('a')], {
      a: textHeld('x', 7),
    })
    expect(answer).toMatchObject({ results: [true, false, false] })
    expect(effects).toEqual([{ type: 'delete', key: 'a' }])
  })

  test('set and delete of what was not there → no effect is left', () => {
    expect(judged([setCall('a', 'x'), remove('a')])).toMatchObject({
      answer: { version: NEWEST, results: [null, true] },
      effects: [],
    })
  })

  test('a key written several times → changes once', () => {
    const operations = [setCall('a', '1'), remove('a'), setCall('a', '2'), setCall('b', '3')]
    expect(judged(operations, { a: textHeld('old', 7) }).effects).toMatchObject([
      { key: 'a', text: '2' },
      { key: 'b', text: '3' },
    ])
  })
})

describe('judge atomic: what fails', () => {
  test.each([
    ['OUT_OF_RANGE not-applied', incrementCall('n', 1, { max: 5 })],
    ['NOT_A_NUMBER not-applied', incrementCall('text', 1)],
  ])('%s → the whole batch is refused, nothing is done', (fault, operation) => {
    const entries = { n: counterHeld(5), text: textHeld('\u00a1x') }
    expect(judged([setCall('a', 'x'), operation, setCall('b', 'y')], entries)).toMatchObject({
      answer: fault,
      effects: [],
    })
  })

  test('a check that fails comes before an operation that does', () => {
    const { answer } = judged([incrementCall('text', 1), check('a', 1)], {
      text: textHeld('\u00a1x'),
    })
    expect(answer).toEqual({ conflicts: [[1, undefined]] })
  })

  test('P7: more touched values than a frame holds → BATCH_TOO_LARGE', () => {
    const entries = Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e'].map((key) => [key, textHeld('x'.repeat(1_000_000), 1)]),
    )
    const all = Object.keys(entries).map((key) => touch(key, 5))
    expect(judged(all, entries).answer).toBe('BATCH_TOO_LARGE not-applied')
    expect(judged(all.slice(0, 4), entries).effects).toHaveLength(4)
  })
})
