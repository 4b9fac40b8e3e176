import { describe, expect, test } from 'vitest'
import { compareBytes, noise } from './bytes.js'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf } from './rejection.js'

class Point {
  readonly x = 1
  readonly y = 2
}

const VALUES: Readonly<Record<string, unknown>> = {
  true: true,
  'an integer': 42,
  'the largest safe integer': Number.MAX_SAFE_INTEGER,
  'the smallest safe integer': Number.MIN_SAFE_INTEGER,
  'a large number': Number.MAX_VALUE,
  'the smallest number': Number.MIN_VALUE,
  'a fraction': 0.1,
  NaN,
  Infinity,
  '-Infinity': -Infinity,
  'a bigint': 2n ** 200n + 1n,
  'a negative bigint': -(2n ** 64n),
  'text of all kinds': '\u00e9 e\u0301 🦊 \0 語 \ufeff \ud7ff\ue000\u{10ffff}',
  'long text': '語'.repeat(100_000),
  'a date': new Date(1_700_000_000_123),
  'an invalid date': new Date(NaN),
  'a map with odd keys': new Map<unknown, unknown>([
    [1, 'number'],
    ['1', 'text'],
    [{ a: 1 }, 'object'],
    [null, 'null'],
    [undefined, 'undefined'],
    [NaN, 'NaN'],
  ]),
  'a set': new Set<unknown>([1, '1', null, undefined, [1]]),
  'an array': [1, 'two', null, undefined, [3, [4]], { five: 5 }],
  'an object': { a: 1, b: { c: [1, 2, { d: undefined }] }, '': 'empty name' },
  'an object with JavaScript names': JSON.parse('{"__proto__":1,"constructor":2,"toString":3}'),
  'an empty object': {},
  'an empty array': [],
  'a typed array': new Float64Array([1.5, -0.5, NaN]),
  'bigint array': new BigInt64Array([1n, -(2n ** 63n)]),
  'two bytes a number': new Uint16Array([1, 65_535]),
  bytes: noise(1_000),
  'no bytes': new Uint8Array(0),
  'deep nesting': nested(90),
}

export function describeValues(clients: () => Clients): void {
  describe('values', () => {
    test.each(Object.entries(VALUES))('%s comes back exactly', async (name, value) => {
      const { client, other } = clients()
      const key = `${ownPrefix()}${name}`
      await client.set(key, value)
      expect(await other.get(key)).toStrictEqual(value)
      // Nested it takes another way through the codec.
      await client.set(key, { list: [value] })
      expect(await other.get(key)).toStrictEqual({ list: [value] })
    })

    test('all of them in one call come back in order', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const entries = Object.entries(VALUES).map(([name, value]) => [prefix + name, value] as const)
      await client.setMany(entries)
      const found = await other.getMany(entries.map(([key]) => key))
      expect(found).toStrictEqual(entries.map(([, value]) => value))
    })

    test('-0 reads as 0, an instance of a class as its fields', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      await client.set(key, -0)
      expect(await client.get(key)).toBe(0)
      await client.set(key, new Point())
      expect(await client.get(key)).toStrictEqual({ x: 1, y: 2 })
    })

    test('bytes are the caller’s own: changing them changes nothing stored', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const bytes = new Uint8Array([1, 2, 3])
      const written = client.set(key, bytes)
      bytes.fill(9)
      await written
      const read = (await client.get<Uint8Array>(key)) ?? new Uint8Array()
      expect(read).toStrictEqual(new Uint8Array([1, 2, 3]))
      expect(read.buffer.byteLength).toBe(3)
      read.fill(8)
      expect(await client.get(key)).toStrictEqual(new Uint8Array([1, 2, 3]))
    })

    test('1 MiB as stored is the most: up to it exact, over it VALUE_TOO_LARGE', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      // Five bytes say that it is bytes and how many.
      const largest = noise(1_048_576 - 5)
      await client.set(key, largest)
      const stored = await other.get<Uint8Array>(key)
      expect(compareBytes(stored ?? new Uint8Array(), largest)).toBe(0)
      const tooLarge = new Uint8Array(1_048_576 - 4)
      expect(await failureOf(() => client.set(key, tooLarge))).toBe('VALUE_TOO_LARGE not-applied')
      const text = 'x'.repeat(1_048_577)
      expect(await failureOf(() => client.set(key, text))).toBe('VALUE_TOO_LARGE not-applied')
      expect((await client.get<Uint8Array>(key))?.length).toBe(largest.length)
    })

    test('20 values of 1 MiB at once, written and read', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const entries = Array.from(
        { length: 20 },
        (_, index) => [`${prefix}${index}`, new Uint8Array(1_000_000).fill(index)] as const,
      )
      await client.setMany(entries)
      const found = await other.getMany(entries.map(([key]) => key))
      expect(found.map((bytes) => [bytes?.length, bytes?.[0], bytes?.at(-1)])).toEqual(
        entries.map((_, index) => [1_000_000, index, index]),
      )
      expect(await client.clear({ prefix })).toBe(20)
    })
  })
}

function nested(depth: number): unknown {
  return depth === 0 ? 'bottom' : [nested(depth - 1)]
}
