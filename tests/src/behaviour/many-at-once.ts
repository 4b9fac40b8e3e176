import { KvError } from '@kv/client'
import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { rejectionOf } from './rejection.js'

export function describeManyAtOnce(clients: () => Clients): void {
  describe('many at once', () => {
    test('getMany, getEntries, hasMany → in the order asked, absent and repeated keys too', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      const [a, b, absent] = [`${prefix}a`, `${prefix}b`, `${prefix}absent`]
      const first = await client.set(a, 'A')
      const second = await client.set(b, 'B')
      const asked = [b, absent, a, b]
      const entryOfB = { key: b, value: 'B', version: second.version }
      expect(await client.getMany(asked)).toEqual(['B', undefined, 'A', 'B'])
      expect(await client.hasMany(asked)).toEqual([true, false, true, true])
      expect(await client.getEntries(asked)).toEqual([
        entryOfB,
        undefined,
        { key: a, value: 'A', version: first.version },
        entryOfB,
      ])
    })

    test('no keys → no results', async () => {
      const { client } = clients()
      expect(await client.getMany([])).toEqual([])
      expect(await client.getEntries([])).toEqual([])
      expect(await client.hasMany([])).toEqual([])
      expect(await client.deleteMany([])).toEqual([])
      expect(await client.setMany([])).toEqual([])
    })

    test('20,000 keys in one call → each with its value, in order', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const keys = Array.from({ length: 20_000 }, (_, index) => `${prefix}${index}`)
      const written = await client.setMany(keys.map((key, index) => [key, index] as const))
      expect(written).toHaveLength(20_000)
      expect(written.every(({ ok, version }) => ok && version > 0)).toBe(true)
      expect(await other.getMany(keys)).toEqual(keys.map((_, index) => index))
      expect(new Set(await client.deleteMany(keys))).toEqual(new Set([true]))
      expect(new Set(await client.hasMany(keys))).toEqual(new Set([false]))
    })

    test('setMany takes pairs, records with a ttl, Maps and generators', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      await client.setMany([
        [`${prefix}pair`, 1],
        { key: `${prefix}record`, value: 2 },
        { key: `${prefix}ttl`, value: 3, ttl: 60_000 },
      ])
      await client.setMany(new Map([[`${prefix}map`, 4]]))
      await client.setMany(
        (function* () {
          yield [`${prefix}generator`, 5] as const
        })(),
      )
      const names = ['pair', 'record', 'ttl', 'map', 'generator']
      const entries = await client.getEntries(names.map((name) => `${prefix}${name}`))
      expect(entries.map((entry) => entry?.value)).toEqual([1, 2, 3, 4, 5])
      expect(entries.map((entry) => entry?.expiresAt !== undefined)).toEqual([
        false,
        false,
        true,
        false,
        false,
      ])
    })

    test('setMany with the same key twice → the later one stands', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const [first, second] = await client.setMany([
        [key, 'first'],
        [key, 'second'],
      ])
      expect(await client.get(key)).toBe('second')
      expect(second?.version).toBeGreaterThan(first?.version ?? Infinity)
    })

    test('setMany with one entry that is refused → the others are written, results say which', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      const error = await rejectionOf(() =>
        client.setMany([
          [`${prefix}a`, 1],
          [`${prefix}large`, new Uint8Array(1_100_000)],
          [`${prefix}b`, 2],
        ]),
      )
      expect(error).toBeInstanceOf(KvError)
      const { code, results } = error as KvError
      expect(code).toBe('VALUE_TOO_LARGE')
      expect(results).toEqual([
        { ok: true, version: expect.any(Number) },
        { ok: false, error: expect.objectContaining({ code: 'VALUE_TOO_LARGE' }) },
        { ok: true, version: expect.any(Number) },
      ])
      expect(await client.getMany([`${prefix}a`, `${prefix}large`, `${prefix}b`])).toEqual([
        1,
        undefined,
        2,
      ])
    })

    test('deleteMany → whether each was there', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      await client.set(`${prefix}there`, 1)
      expect(await client.deleteMany([`${prefix}absent`, `${prefix}there`])).toEqual([false, true])
    })
  })
}
