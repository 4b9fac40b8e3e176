import assert from 'node:assert/strict'
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import type { AtomicOperation } from './atomic-call.js'
import { atomicCall } from './atomic-call.js'
import type { Call, ReadCall } from './calls.js'
import {
  CALL_TAGS,
  isReadCall,
  readReadCall,
  readWriteCall,
  writeReadCall,
  writeWriteCall,
} from './calls.js'
import { KvError } from './errors.js'
import {
  ATOMIC_OPERATIONS_MAX,
  KEY_BYTES_MAX,
  LOCK_OWNER_BYTES_MAX,
  PAGE_ENTRIES_MAX,
  SHARDS_MAX,
} from './limits.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const refused = expect.objectContaining({ name: 'KvError', code: 'PROTOCOL' }) as Error

const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 })
const version = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const finite = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .map((value) => (value === 0 ? 0 : value))
const positive = finite.filter((value) => value > 0)
const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(values, { nil: undefined })
const range = {
  shard: fc.nat({ max: SHARDS_MAX - 1 }),
  from: fc.string({ unit: 'binary', maxLength: 30 }),
  to: maybe(key),
}

const set = fc
  .record({
    type: fc.constant('set'),
    key,
    source: fc.uint8Array({ maxLength: 300 }),
    expiry: fc.oneof(
      fc.constantFrom({ kind: 'none' as const }, { kind: 'keep' as const }),
      fc.record({ kind: fc.constant('ttl'), ms: positive }),
      fc.record({ kind: fc.constant('at'), ms: finite }),
    ),
    ifVersion: fc.option(maybe(version), { nil: null }),
  })
  .map((call) => ({ ...call, start: 0, end: call.source.length }))
const remove = fc.record({ type: fc.constant('delete'), key })
const touch = fc.record({ type: fc.constant('touch'), key, ttlMs: maybe(positive) })
const increment = fc.record({
  type: fc.constant('increment'),
  key,
  by: finite,
  ttlMs: maybe(positive),
  min: maybe(finite),
  max: maybe(finite),
})
const owner = fc
  .uint8Array({ minLength: 1, maxLength: LOCK_OWNER_BYTES_MAX })
  .map((bytes) => Buffer.from(bytes))
const operation: fc.Arbitrary<AtomicOperation> = fc.oneof(
  fc.record({ type: fc.constant('check'), key, version: fc.option(version) }),
  set.map((call) => ({ ...call, ifVersion: undefined })),
  remove,
  touch,
  increment,
)

const calls: { [Type in Call['type']]: fc.Arbitrary<Call & { readonly type: Type }> } = {
  get: fc.record({ type: fc.constant('get'), key }),
  entry: fc.record({ type: fc.constant('entry'), key }),
  has: fc.record({ type: fc.constant('has'), key }),
  scan: fc.record({
    type: fc.constant('scan'),
    ...range,
    limit: fc.integer({ min: 1, max: PAGE_ENTRIES_MAX }),
    reverse: fc.boolean(),
    keysOnly: fc.boolean(),
  }),
  count: fc.record({ type: fc.constant('count'), ...range }),
  set,
  delete: remove,
  deleteIf: fc.record({ type: fc.constant('deleteIf'), key, version }),
  touch,
  increment,
  clear: fc.record({ type: fc.constant('clear'), ...range }),
  lock: fc.record({
    type: fc.constant('lock'),
    key,
    owner,
    ttlMs: positive,
    ticket: fc.nat(),
    waitMs: maybe(positive),
  }),
  unlock: fc.record({ type: fc.constant('unlock'), key, owner, ticket: fc.nat() }),
  atomic: fc.array(operation, { minLength: 1, maxLength: 12 }).map(atomicCall),
}
const readCalls = [calls.get, calls.entry, calls.has, calls.scan, calls.count]
const anyReadCall: fc.Arbitrary<ReadCall> = fc.oneof(...readCalls)
const anyCall: fc.Arbitrary<Call> = fc.oneof(...Object.values(calls))

function bytesOf(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter()
  write(writer)
  return writer.written().slice()
}

/** A set's value is a place in the message: compared by its bytes. */
function plain(call: Call | AtomicOperation): object {
  if (call.type === 'atomic') return { ...call, operations: call.operations.map(plain) }
  if (call.type !== 'set') return call
  const { source, start, end, ...rest } = call
  return { ...rest, value: Array.from(source.subarray(start, end)) }
}

function reading(hex: string): WireReader {
  return new WireReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

describe('calls: round trips', () => {
  test('calls: every type of call → has a number and a test', () => {
    expect(Object.keys(calls).toSorted()).toEqual(Object.keys(CALL_TAGS).toSorted())
    expect(new Set(Object.values(CALL_TAGS)).size).toBe(Object.keys(CALL_TAGS).length)
  })

  test.each(Object.entries<fc.Arbitrary<Call>>(calls))(
    'calls: any %s in a batch of writes → comes back',
    (_, arbitrary) => {
      fc.assert(
        fc.property(arbitrary, (call) => {
          const reader = new WireReader(bytesOf((writer) => writeWriteCall(writer, call)))
          expect(plain(readWriteCall(reader))).toEqual(plain(call))
          reader.finish()
        }),
      )
    },
  )

  test('calls: any reading call in a batch of reads → comes back', () => {
    fc.assert(
      fc.property(anyReadCall, (call) => {
        const reader = new WireReader(bytesOf((writer) => writeReadCall(writer, call)))
        expect(readReadCall(reader)).toEqual(call)
        reader.finish()
      }),
    )
  })

  test('calls: many in a row → each begins where the one before ended', () => {
    fc.assert(
      fc.property(fc.array(anyCall, { maxLength: 20 }), (asked) => {
        const bytes = bytesOf((writer) => {
          for (const call of asked) writeWriteCall(writer, call)
        })
        const reader = new WireReader(bytes)
        const answers = asked.map(() => plain(readWriteCall(reader)))
        expect(answers).toEqual(asked.map(plain))
        reader.finish()
      }),
    )
  })

  test('calls: which change nothing → those that a batch of reads takes', () => {
    fc.assert(
      fc.property(anyCall, (call) => {
        const reader = new WireReader(bytesOf((writer) => writeWriteCall(writer, call)))
        // In a batch of reads a text on its own is a get.
        fc.pre(call.type !== 'delete' && !(call.type === 'set' && reader.bytes[0] === 0x92))
        const read = (): ReadCall => readReadCall(reader)
        expect(isReadCall(call)).toBe(isRead(read))
      }),
    )
  })

  function isRead(read: () => unknown): boolean {
    try {
      read()
      return true
    } catch (error) {
      if (error instanceof KvError && error.code === 'PROTOCOL') return false
      throw error
    }
  }

  test('calls: values of a set → read in place, not copied', () => {
    const source = Uint8Array.of(9, 9, 1, 2, 3, 9)
    const set = {
      type: 'set',
      key: 'k',
      source,
      start: 2,
      end: 5,
      expiry: { kind: 'none' },
      ifVersion: undefined,
    } as const
    const bytes = bytesOf((writer) => writeWriteCall(writer, set))
    expect(unpack(bytes)).toEqual(['k', Buffer.of(1, 2, 3)])
    const call = readWriteCall(new WireReader(bytes))
    assert(call.type === 'set')
    expect(call.source.buffer).toBe(bytes.buffer)
    expect([...call.source.subarray(call.start, call.end)]).toEqual([1, 2, 3])
  })

  test('calls: short and long forms → the structure that another decoder of MessagePack sees', () => {
    const seen = (call: Call): unknown => unpack(bytesOf((writer) => writeWriteCall(writer, call)))
    expect(seen({ type: 'delete', key: 'k' })).toBe('k')
    expect(seen({ type: 'get', key: 'k' })).toEqual([0, 'k'])
    const scan = { type: 'scan', shard: 3, from: 'a', to: undefined, limit: 10 } as const
    expect(seen({ ...scan, reverse: true, keysOnly: false })).toEqual([
      3,
      3,
      'a',
      null,
      10,
      true,
      false,
    ])
    const increment = { type: 'increment', key: 'k', by: 0.5, ttlMs: undefined } as const
    expect(seen({ ...increment, min: -1, max: undefined })).toEqual([20, 'k', 0.5, null, -1, null])
  })
})

describe('calls: what no client writes', () => {
  test.each([
    ['an unknown number', '92 3f a1 6b'],
    ['no fields', '91 00'],
    ['an empty array', '90'],
    ['a field too many', '93 00 a1 6b c0'],
    ['a map', '81 00 a1 6b'],
    ['an empty key', '92 01 a0'],
    ['an empty key in the short form', 'a0'],
    ['a key that is no text', '92 01 07'],
    ['a key that is too long', `da 08 01 ${'61'.repeat(KEY_BYTES_MAX + 1)}`],
    ['a key that is not UTF-8', 'a1 ff'],
    ['a shard beyond any', '94 04 cd 10 00 a0 c0'],
    ['a page of no entries', '97 03 00 a0 c0 00 c2 c2'],
    ['a page of too many entries', '97 03 00 a0 c0 cd 03 e9 c2 c2'],
    ['a number for a boolean', '97 03 00 a0 c0 01 00 c2'],
    ['a bound that is too long', `94 04 00 da 08 05 ${'61'.repeat(KEY_BYTES_MAX + 5)} c0`],
  ])('calls: %s → PROTOCOL', (_, hex) => {
    expect(() => readReadCall(reading(hex))).toThrow(refused)
    expect(() => readWriteCall(reading(hex))).toThrow(refused)
  })

  test.each([
    ['a value that is no binary', '92 a1 6b 01'],
    ['a value that claims 4 GB', '92 a1 6b c6 ff ff ff ff 01'],
    ['an unknown expiry', '96 10 a1 6b c4 00 04 00 c0'],
    ['a ttl of 0', '96 10 a1 6b c4 00 01 00 c0'],
    ['a negative ttl', '96 10 a1 6b c4 00 01 ff c0'],
    ['an infinite ttl', '96 10 a1 6b c4 00 01 cb 7f f0 00 00 00 00 00 00 c0'],
    ['an expiry at NaN', '96 10 a1 6b c4 00 02 cb 7f f8 00 00 00 00 00 00 c0'],
    ['a negative version', '93 12 a1 6b ff'],
    ['a touch with a ttl of 0', '93 13 a1 6b 00'],
    ['an increment by NaN', '96 14 a1 6b cb 7f f8 00 00 00 00 00 00 c0 c0 c0'],
    ['an atomic batch without operations', '92 16 90'],
    ['an atomic batch that is no list', '92 16 a1 6b'],
    ['a read in an atomic batch', '92 16 91 92 00 a1 6b'],
    ['a deleteIf in an atomic batch', '92 16 91 93 12 a1 6b 01'],
    ['a clear in an atomic batch', '92 16 91 94 15 00 a0 c0'],
    ['an atomic batch in another', '92 16 91 92 16 91 a1 6b'],
    ['a set with a condition in an atomic batch', '92 16 91 96 10 a1 6b c4 00 00 00 01'],
    ['a check of too few fields', '92 16 91 92 05 a1 6b'],
    ['a check of a negative version', '92 16 91 93 05 a1 6b ff'],
    ['a check outside of an atomic batch', '93 05 a1 6b 01'],
    ['too many operations', `92 16 dc 03 e9 ${'a1 6b '.repeat(ATOMIC_OPERATIONS_MAX + 1)}`],
    ['batches nested as deep as a message is long', '92 16 91 '.repeat(400_000)],
    ['a lock without an owner', '96 17 a1 6b c4 00 01 00 c0'],
    ['a lock of no duration', '96 17 a1 6b c4 01 01 00 00 c0'],
    ['a lock that waits for nothing', '96 17 a1 6b c4 01 01 01 00 00'],
    ['a lock with too long an owner', `96 17 a1 6b c5 01 01 ${'01'.repeat(257)} 01 00 c0`],
    ['an unlock of a key of the system', '94 18 c4 04 ff 61 2f 6b c4 01 01 00'],
    ['an increment by infinity', '96 14 a1 6b cb 7f f0 00 00 00 00 00 00 c0 c0 c0'],
  ])('calls: %s → PROTOCOL', (_, hex) => {
    expect(() => readWriteCall(reading(hex))).toThrow(refused)
  })

  test('calls: any call cut at any byte → PROTOCOL', () => {
    fc.assert(
      fc.property(anyCall, (call) => {
        const bytes = bytesOf((writer) => writeWriteCall(writer, call))
        for (let end = 0; end < bytes.length; end += 1) {
          expect(() => readWriteCall(new WireReader(bytes.subarray(0, end)))).toThrow(refused)
        }
      }),
    )
  })
})
