import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'

/** What two clocks of one machine may differ by, and a busy machine may add. */
const CLOCKS_DIFFER_MS = 250

export function describeExpiry(clients: () => Clients): void {
  describe('expiry', () => {
    test('ttl → expiresAt is the time of the write plus the ttl', async () => {
      const { client, clock } = clients()
      const key = `${ownPrefix()}key`
      const before = clock.now()
      await client.set(key, 1, { ttl: 100_000 })
      const after = clock.now()
      const expiresAt = (await client.getEntry(key))?.expiresAt
      expect(expiresAt).toBeGreaterThanOrEqual(before + 100_000 - CLOCKS_DIFFER_MS)
      expect(expiresAt).toBeLessThanOrEqual(after + 100_000 + CLOCKS_DIFFER_MS)
    })

    test('a key is there up to its time and gone for every call after it', async () => {
      const { client, other, clock } = clients()
      const prefix = ownPrefix()
      const key = `${prefix}key`
      const { version } = await client.set(key, 'short-lived', { ttl: 400 })
      const expiresAt = (await client.getEntry(key))?.expiresAt ?? 0
      const value: unknown = await client.get(key)
      const isEarly = value === undefined && clock.now() < expiresAt - CLOCKS_DIFFER_MS
      expect(isEarly).toBe(false)
      await clock.reach(expiresAt, client)
      expect(await client.get(key)).toBe(undefined)
      expect(await other.getEntry(key)).toBe(undefined)
      expect(await client.has(key)).toBe(false)
      expect(await client.keys({ prefix }).toArray()).toEqual([])
      expect(await client.count({ prefix })).toBe(0)
      expect(await client.touch(key, 1_000)).toBe(false)
      expect(await client.deleteIf(key, version)).toEqual({ ok: false, current: undefined })
      expect(await client.delete(key)).toBe(false)
    })

    test('a key that expired counts as absent, and its versions still grow', async () => {
      const { client, clock } = clients()
      const key = `${ownPrefix()}key`
      const { version } = await client.set(key, 41, { expiresAt: clock.now() - 1_000 })
      const created = await client.increment(key)
      expect(created.value).toBe(1)
      expect(created.version).toBeGreaterThan(version)
      expect(created).not.toHaveProperty('expiresAt')
      expect(await client.set(key, 'x', { ifVersion: null })).toMatchObject({ ok: false })
    })

    test('expiresAt → the very millisecond; one in the past → not there', async () => {
      const { client, clock } = clients()
      const key = `${ownPrefix()}key`
      const expiresAt = clock.now() + 50_000
      await client.set(key, 1, { expiresAt })
      expect((await client.getEntry(key))?.expiresAt).toBe(expiresAt)
      await client.set(key, 2, { expiresAt: clock.now() - 50_000 })
      expect(await client.get(key)).toBe(undefined)
    })

    test('set without an option removes an expiry, keepTtl keeps it', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      await client.set(key, 1, { ttl: 50_000 })
      const expiresAt = (await client.getEntry(key))?.expiresAt
      await client.set(key, 2, { keepTtl: true })
      expect((await client.getEntry(key))?.expiresAt).toBe(expiresAt)
      await client.set(key, 3)
      expect(await client.getEntry(key)).not.toHaveProperty('expiresAt')
      await client.set(key, 4, { keepTtl: true })
      expect(await client.getEntry(key)).not.toHaveProperty('expiresAt')
    })

    test('touch → a new expiry or none; neither value nor version change', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const { version } = await client.set(key, 'value', { ttl: 1_000 })
      const first = (await client.getEntry(key))?.expiresAt ?? Infinity
      expect(await client.touch(key, 100_000)).toBe(true)
      const entry = await client.getEntry(key)
      expect(entry).toMatchObject({ value: 'value', version })
      expect(entry?.expiresAt).toBeGreaterThan(first)
      expect(await client.touch(key, null)).toBe(true)
      expect(await client.getEntry(key)).toEqual({ key, value: 'value', version })
    })

    test('options that are undefined count as absent', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      await client.set(key, 1, { ttl: undefined, signal: undefined, timeout: undefined })
      expect(await client.getEntry(key)).not.toHaveProperty('expiresAt')
    })
  })
}
