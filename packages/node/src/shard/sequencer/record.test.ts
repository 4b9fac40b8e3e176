import { KvError, WireWriter } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KEY_PARTS, LONGEST_KEY, textOf } from '../testing/entries.js'
import type { Effect, ReadEntry } from './record.js'
import {
  ENTRY_KINDS,
  readEntries,
  RESULT_KINDS,
  writeEntryHead,
  writeEviction,
  writePut,
  writeRemoval,
  writeStoredAnswer,
  writeTouch,
} from './record.js'

type Written =
  | {
      readonly type: 'put'
      readonly key: string
      readonly text: string
      readonly expiresAt: number
    }
  | { readonly type: 'delete' | 'expire'; readonly key: string }
  | { readonly type: 'touch'; readonly key: string; readonly expiresAt: number }

const key = fc.oneof(
  fc.constant(LONGEST_KEY),
  fc
    .array(fc.constantFrom(...KEY_PARTS), { minLength: 1, maxLength: 5 })
    .map((parts) => parts.join('')),
)
const time = fc.oneof(fc.constant(0), fc.maxSafeNat())
const effect: fc.Arbitrary<Written> = fc.oneof(
  fc.record({
    type: fc.constant('put' as const),
    key,
    text: fc.string({ maxLength: 300 }),
    expiresAt: time,
  }),
  fc.record({ type: fc.constantFrom('delete' as const, 'expire' as const), key }),
  fc.record({ type: fc.constant('touch' as const), key, expiresAt: time }),
)
const entries = fc.array(fc.array(effect, { maxLength: 5 }), { minLength: 1, maxLength: 5 })

const HEAD = {
  kind: ENTRY_KINDS.write,
  clientId: 2 ** 40,
  sequence: 3,
  lowWater: 2,
  resultKind: RESULT_KINDS.version,
}

function bodyOf(written: readonly (readonly Written[])[], firstRevision = 1): Buffer {
  const writer = new WireWriter()
  for (const [index, effects] of written.entries()) {
    writeEntryHead(writer, HEAD, effects.length)
    for (const each of effects) writeOne(writer, each, firstRevision + index)
  }
  return Buffer.from(writer.written())
}

function writeOne(writer: WireWriter, each: Written, revision: number): void {
  if (each.type === 'put') {
    const source = Buffer.from(`#${each.text}`)
    const { expiresAt } = each
    writePut(writer, { key: each.key, source, start: 1, end: source.length, expiresAt }, revision)
  } else if (each.type === 'touch') {
    writeTouch(writer, each.key, each.expiresAt)
  } else {
    writeRemoval(writer, each.key, each.type)
  }
}

function effectsIn(body: Uint8Array, count: number, firstRevision = 1): Effect[] {
  const effects: Effect[] = []
  readEntries(body, count, firstRevision, (each) => effects.push(each))
  return effects
}

function comparable(each: Effect): unknown {
  if (each.type === 'touch') return each
  const { version, expiresAt } = each.held
  return { type: each.type, key: each.key, version, expiresAt, text: textOf(each.held) }
}

describe('record: what is written is read', () => {
  test('P2: any entries of any effects → the same effects, in order, with their revisions', () => {
    const property = fc.property(
      entries,
      fc.integer({ min: 1, max: 2 ** 50 }),
      (written, first) => {
        const read = effectsIn(bodyOf(written, first), written.length, first).map(comparable)
        const due = written.flatMap((effects, index) =>
          effects.map((each) => {
            if (each.type === 'touch') return each
            const { type, key: name } = each
            const version = first + index
            if (type === 'put') {
              return { type, key: name, version, expiresAt: each.expiresAt, text: each.text }
            }
            return { type, key: name, version, expiresAt: 0, text: undefined }
          }),
        )
        expect(read).toEqual(due)
      },
    )
    fc.assert(property)
  })

  test('a put → the entry it returns is the value in the frame, also once the frame has grown', () => {
    const writer = new WireWriter(1_024)
    const source = Buffer.from('value')
    const held = writePut(writer, { key: 'a', source, start: 1, end: 4, expiresAt: 9 }, 7)
    writer.raw(new Uint8Array(10_000))
    expect(textOf(held)).toBe('alu')
    expect(held).toMatchObject({ version: 7, expiresAt: 9 })
  })

  test('an entry that begins an epoch or does nothing → no effects', () => {
    for (const kind of [ENTRY_KINDS.epochStart, ENTRY_KINDS.noop]) {
      const writer = new WireWriter()
      writeEntryHead(writer, { ...HEAD, kind }, 0)
      expect(effectsIn(writer.written(), 1)).toEqual([])
    }
  })
})

describe('record: what retries are judged by (P4)', () => {
  test('an entry → its client, numbers and result kind, after its effects', () => {
    const seen: unknown[] = []
    const body = bodyOf([[{ type: 'delete', key: 'a' }], []], 7)
    const onEntry = (entry: unknown): void => void seen.push(entry)
    readEntries(body, 2, 7, ({ key: name }) => seen.push(name), onEntry)
    expect(seen).toEqual([
      'a',
      { ...HEAD, revision: 7, evicted: [], answer: undefined },
      { ...HEAD, revision: 8, evicted: [], answer: undefined },
    ])
  })

  test('an eviction → the clients, and no effects', () => {
    const writer = new WireWriter()
    writeEviction(writer, [3, 2 ** 50])
    const entries: ReadEntry[] = []
    readEntries(
      writer.written(),
      1,
      9,
      () => expect.fail(),
      (entry) => entries.push(entry),
    )
    expect(entries).toMatchObject([{ revision: 9, clientId: 0, evicted: [3, 2 ** 50] }])
  })
})

describe('record: what is not known is never skipped (P2)', () => {
  test.each([
    ['prepare', ENTRY_KINDS.prepare],
    ['commit', ENTRY_KINDS.commit],
    ['abort', ENTRY_KINDS.abort],
    ['unheard of', 77],
  ])('an entry of kind %s → stops', (_name, kind) => {
    const writer = new WireWriter()
    writeEntryHead(writer, { ...HEAD, kind: kind as typeof HEAD.kind }, 0)
    expect(() => effectsIn(writer.written(), 1)).toThrow(/does not know/)
  })

  test.each([
    ['an unknown effect', [9, 'a']],
    ['a put without its value', [1, 'a', 0]],
    ['a removal with an expiry', [2, 'a', 0]],
    ['a touch without its time', [4, 'a']],
    ['an effect without a key', [2]],
    ['an effect that is no array', 'a'],
    ['a touch before the epoch', [4, 'a', -1]],
  ])('%s → stops', (_name, shape) => {
    const writer = new WireWriter()
    writeEntryHead(writer, HEAD, 1)
    writeShape(writer, shape)
    expect(() => effectsIn(writer.written(), 1)).toThrow(KvError)
  })

  function writeShape(writer: WireWriter, shape: unknown): void {
    if (Array.isArray(shape)) {
      writer.array(shape.length)
      for (const part of shape) writeShape(writer, part)
    } else if (typeof shape === 'number') {
      writer.integer(shape)
    } else {
      writer.text(shape as string)
    }
  }
})

describe('record: an answer that is stored', () => {
  const stored = { ...HEAD, resultKind: RESULT_KINDS.stored }

  test('stands behind the effects, and the next entry behind it', () => {
    const writer = new WireWriter()
    for (const key of ['a', 'b']) {
      writeEntryHead(writer, stored, 1)
      writeRemoval(writer, key, 'delete')
      writeStoredAnswer(writer, Uint8Array.of(1, 2, 3))
    }
    expect(effectsIn(writer.written(), 2).map(({ key }) => key)).toEqual(['a', 'b'])
  })

  test('is missing, or there where none is due → throws (P8)', () => {
    const missing = new WireWriter()
    writeEntryHead(missing, stored, 0)
    expect(() => effectsIn(missing.written(), 1)).toThrow(KvError)
    const extra = new WireWriter()
    writeEntryHead(extra, HEAD, 0)
    writeStoredAnswer(extra, Uint8Array.of(1))
    expect(() => effectsIn(extra.written(), 1)).toThrow(KvError)
  })
})

describe('record: bodies that are not what was written (P8)', () => {
  test('cut anywhere → throws', () => {
    fc.assert(
      fc.property(
        entries,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (all, at) => {
          const body = bodyOf(all)
          const cut = body.subarray(0, Math.floor(at * body.length))
          expect(() => effectsIn(cut, all.length)).toThrow(KvError)
        },
      ),
    )
  })

  test('another count than there are entries → throws', () => {
    const body = bodyOf([[{ type: 'delete', key: 'a' }], []])
    expect(() => effectsIn(body, 1)).toThrow(/after the end/)
    expect(() => effectsIn(body, 3)).toThrow(/ends too early/)
    expect(() => effectsIn(body, 0xffff_ffff)).toThrow(/ends too early/)
  })

  test('any byte changed → ends, with effects or with an error of the protocol', () => {
    fc.assert(
      fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, place, flip) => {
        const body = bodyOf(all)
        const at = place % body.length
        body[at] = (body[at] as number) ^ flip
        try {
          expect(effectsIn(body, all.length).length).toBeLessThan(body.length)
        } catch (error) {
          if (!(error instanceof KvError)) throw error
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('P7: a length far beyond the body → refused before memory is spent on it', () => {
    const writer = new WireWriter()
    writeEntryHead(writer, HEAD, 1_048_576)
    expect(() => effectsIn(writer.written(), 1)).toThrow(/ends too early/)
    const huge = new WireWriter()
    writeEntryHead(huge, HEAD, 1_048_577)
    expect(() => effectsIn(huge.written(), 1)).toThrow(/at most/)
  })
})
