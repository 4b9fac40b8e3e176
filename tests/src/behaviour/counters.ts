import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf } from './rejection.js'

export function describeCounters(clients: () => Clients): void {
  describe('counters', () => {
    test('increment → an absent key counts as 0, by 1 unless told', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}counter`
      const first = await client.increment(key)
      expect(first).toEqual({ value: 1, version: expect.any(Number) })
      const second = await client.increment(key, 41)
      expect(second.value).toBe(42)
      expect(second.version).toBeGreaterThan(first.version)
      expect((await client.increment(key, -50)).value).toBe(-8)
      expect(await client.get(key)).toBe(-8)
    })

    test('increment of a number that was set, and by a fraction', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}counter`
      await client.set(key, 0.5)
      expect((await client.increment(key, 0.25)).value).toBe(0.75)
    })

    test('500 increments by two clients at once → exactly 500', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}counter`
      const results = await Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          (index % 2 === 0 ? client : other).increment(key),
        ),
      )
      expect(await client.get(key)).toBe(500)
      expect(new Set(results.map(({ value }) => value)).size).toBe(500)
    })

    test('ttl applies when the counter is created, not later', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}counter`
      const { expiresAt } = await client.increment(key, 1, { ttl: 60_000 })
      expect(expiresAt).toBeGreaterThan(0)
      const again = await client.increment(key, 1, { ttl: 3_600_000 })
      expect(again.expiresAt).toBe(expiresAt)
      expect(again.value).toBe(2)
    })

    test('over a bound → OUT_OF_RANGE and nothing changes; up to it is allowed', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}counter`
      await client.set(key, 5)
      expect((await client.increment(key, 5, { max: 10 })).value).toBe(10)
      const upper = await failureOf(() => client.increment(key, 1, { max: 10 }))
      const lower = await failureOf(() => client.increment(key, -11, { min: 0 }))
      expect([upper, lower]).toEqual(['OUT_OF_RANGE not-applied', 'OUT_OF_RANGE not-applied'])
      expect(await client.get(key)).toBe(10)
    })

    test('beyond what is exact (±2^53) → OUT_OF_RANGE', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}counter`
      await client.set(key, Number.MAX_SAFE_INTEGER)
      expect(await failureOf(() => client.increment(key))).toBe('OUT_OF_RANGE not-applied')
      await client.set(key, -Number.MAX_SAFE_INTEGER)
      expect(await failureOf(() => client.increment(key, -1))).toBe('OUT_OF_RANGE not-applied')
      expect(await client.get(key)).toBe(-Number.MAX_SAFE_INTEGER)
    })

    test('of anything but a finite number → NOT_A_NUMBER and nothing changes', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      const values = ['7', 7n, null, true, [1], { value: 1 }, new Date(0), NaN, Infinity]
      for (const [index, value] of values.entries()) {
        const key = `${prefix}${index}`
        await client.set(key, value)
        expect(await failureOf(() => client.increment(key))).toBe('NOT_A_NUMBER not-applied')
        expect(await client.get(key)).toEqual(value)
      }
    })
  })
}
