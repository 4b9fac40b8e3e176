import type { UntypedNamespace } from '@kv/client'
import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf, rejectionOf } from './rejection.js'

/** A validator as libraries make them: takes digits, gives a number. */
const digits = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value: unknown) =>
      typeof value === 'string' && /^\d+$/.test(value)
        ? { value: Number(value) }
        : { issues: [{ message: 'no digits' }] },
  },
} as const

export function describeNamespaces(clients: () => Clients): void {
  describe('namespaces', () => {
    function namespaces(): { prefix: string; own: UntypedNamespace; others: UntypedNamespace } {
      const { client, other } = clients()
      const prefix = ownPrefix()
      return { prefix, own: client.namespace(prefix), others: other.namespace(prefix) }
    }

    test('what is written in one → is under its prefix, for everybody', async () => {
      const { prefix, own, others } = namespaces()
      const { client } = clients()
      const { version } = await own.set('key', 'value')
      expect(await others.getEntry('key')).toEqual({ key: 'key', value: 'value', version })
      expect(await client.getEntry(`${prefix}key`)).toEqual({
        key: `${prefix}key`,
        value: 'value',
        version,
      })
      expect(await own.delete('key')).toBe(true)
      expect(await client.has(`${prefix}key`)).toBe(false)
    })

    test('many keys, conditions, counters and updates → with the short keys', async () => {
      const { own, others } = namespaces()
      await own.setMany([['a', 1], { key: 'b', value: 2, ttl: 60_000 }])
      expect(await others.getMany(['b', 'absent', 'a'])).toEqual([2, undefined, 1])
      expect(await others.hasMany(['b', 'absent'])).toEqual([true, false])
      const entries = await others.getEntries(['a', 'b'])
      expect(entries.map((entry) => [entry?.key, entry?.value])).toEqual([
        ['a', 1],
        ['b', 2],
      ])
      const current = entries[0]
      expect(await own.set('a', 9, { ifVersion: null })).toEqual({ ok: false, current })
      expect(await own.deleteIf('a', (current?.version ?? 0) + 1)).toEqual({ ok: false, current })
      expect((await own.increment('a', 4)).value).toBe(5)
      expect(await own.update('a', (value, entry) => `${value} of ${entry?.key}`)).toMatchObject({
        key: 'a',
        value: '5 of a',
      })
      expect(await own.touch('a', null)).toBe(true)
      expect(await own.deleteMany(['a', 'absent', 'b'])).toEqual([true, false, true])
    })

    test('lists, counts and cursors → of its own keys, without the prefix', async () => {
      const { prefix, own, others } = namespaces()
      const { client } = clients()
      await client.setMany(['', '1', '2', '3'].map((key) => [prefix + key, key] as const))
      await client.set(`${prefix.slice(0, -1)}0`, 'a neighbour')
      expect(await own.keys().toArray()).toEqual(['1', '2', '3'])
      expect(await own.keys({ gt: '1', reverse: true }).toArray()).toEqual(['3', '2'])
      expect(await own.list({ prefix: '2' }).toArray()).toMatchObject([{ key: '2', value: '2' }])
      expect(await own.count()).toBe(3)
      expect(await own.count({ lte: '2' })).toBe(2)
      const first = own.keys({ limit: 1 })
      expect(await first.toArray()).toEqual(['1'])
      expect(await others.keys({ cursor: first.cursor }).toArray()).toEqual(['2', '3'])
    })

    test('clear → itself, or a part of it, and never what is beside it', async () => {
      const { prefix, own } = namespaces()
      const { client } = clients()
      const neighbour = `${prefix.slice(0, -1)}0`
      await client.set(neighbour, 'stays')
      await own.setMany(['1', '2', '31', '32'].map((key) => [key, key] as const))
      expect(await own.clear({ prefix: '3' })).toBe(2)
      expect(await own.clear()).toBe(2)
      expect(await own.count()).toBe(0)
      expect(await client.delete(neighbour)).toBe(true)
    })

    test('one in another → the prefixes one after the other', async () => {
      const { prefix, own } = namespaces()
      const inner = own.namespace('inner/')
      await inner.set('key', 1)
      expect(await inner.keys().toArray()).toEqual(['key'])
      expect(await own.keys().toArray()).toEqual(['inner/key'])
      expect(await clients().client.get(`${prefix}inner/key`)).toBe(1)
    })

    test('a {tag} in the prefix → keeps the namespace on one shard', async () => {
      const { client } = clients()
      const own = client.namespace(`${ownPrefix()}{tag}/`)
      await own.setMany(Array.from({ length: 20 }, (_, index) => [`${index}`, index] as const))
      expect(await own.count()).toBe(20)
      expect(await own.clear()).toBe(20)
    })

    test('keys that are none, and longer ones than fit with the prefix → refused', async () => {
      const { prefix, own } = namespaces()
      expect(await failureOf(() => own.get(''))).toBe('INVALID_KEY not-applied')
      expect(await failureOf(() => own.get(5 as never))).toBe('TypeError')
      const longest = 'k'.repeat(2_048 - prefix.length)
      await own.set(longest, 1)
      expect(await own.get(longest)).toBe(1)
      expect(await failureOf(() => own.set(`${longest}k`, 1))).toBe('INVALID_KEY not-applied')
      expect(() => own.namespace('')).toThrow(TypeError)
    })

    test('a schema → its output is stored; what does not fit is INVALID_VALUE', async () => {
      const { prefix } = namespaces()
      const { client } = clients()
      const own = client.namespace(prefix, { schema: digits as never })
      await own.set('a', '41' as never)
      expect(await client.get(`${prefix}a`)).toBe(41)
      const error = await rejectionOf(() => own.set('a', 'old' as never))
      expect(error).toMatchObject({
        code: 'INVALID_VALUE',
        outcome: 'not-applied',
        issues: [{ message: 'no digits' }],
      })
      const many = await rejectionOf(() =>
        own.setMany([
          ['b', '7'],
          ['c', 'old'],
        ] as never),
      )
      expect(many).toMatchObject({ results: [{ ok: true }, { ok: false }] })
      expect(await failureOf(() => own.update('a', () => 'old' as never))).toBe(
        'INVALID_VALUE not-applied',
      )
      expect(await client.getMany(['a', 'b', 'c'].map((key) => prefix + key))).toEqual([
        41,
        7,
        undefined,
      ])
      const checked = client.namespace(prefix, { schema: digits as never, validateOnRead: true })
      expect(await failureOf(() => checked.get('a'))).toBe('INVALID_VALUE not-applied')
    })
  })
}
