import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf } from './rejection.js'

export function describeConditions(clients: () => Clients): void {
  describe('conditions', () => {
    test('set with ifVersion null → creates once, then shows what stands there', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      const created = await client.set(key, 'mine', { ifVersion: null })
      expect(created).toEqual({ ok: true, version: expect.any(Number) })
      const current = await client.getEntry(key)
      expect(await other.set(key, 'theirs', { ifVersion: null })).toEqual({ ok: false, current })
      expect(await client.get(key)).toBe('mine')
    })

    test('set with a version → only over exactly this version', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const { version } = await client.set(key, 1)
      const second = await client.set(key, 2, { ifVersion: version })
      expect(second.ok).toBe(true)
      const current = await client.getEntry(key)
      expect(await client.set(key, 3, { ifVersion: version })).toEqual({ ok: false, current })
      expect(await client.get(key)).toBe(2)
    })

    test('set with a version of a deleted key → refused without a current entry', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const { version } = await client.set(key, 1)
      await client.delete(key)
      expect(await client.set(key, 2, { ifVersion: version })).toEqual({
        ok: false,
        current: undefined,
      })
    })

    test('deleteIf → only exactly this version', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const { version: old } = await client.set(key, 1)
      const { version } = await client.set(key, 2)
      const current = { key, value: 2, version }
      expect(await client.deleteIf(key, old)).toEqual({ ok: false, current })
      expect(await client.deleteIf(key, version)).toEqual({ ok: true })
      expect(await client.deleteIf(key, version)).toEqual({ ok: false, current: undefined })
    })

    test('of many conditional writes at once exactly one succeeds', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          (index % 2 === 0 ? client : other).set(key, index, { ifVersion: null }),
        ),
      )
      const winners = results.flatMap((result, index) => (result.ok ? [index] : []))
      expect(winners).toHaveLength(1)
      expect(await client.get(key)).toBe(winners[0])
    })

    test('update → reads, changes, writes; an absent key comes as undefined', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const created = await client.update(key, (value) => (value ?? 0) + 1)
      expect(created).toEqual({ key, value: 1, version: expect.any(Number) })
      const changed = await client.update(key, (value, entry) => {
        expect(entry).toEqual(created)
        return Promise.resolve((value ?? 0) + 10)
      })
      expect(changed?.value).toBe(11)
      expect(await client.getEntry(key)).toEqual(changed)
    })

    test('update that returns undefined → leaves the key as it is', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const { version } = await client.set(key, 1)
      const entry = await client.update(key, () => undefined)
      expect(entry).toEqual({ key, value: 1, version })
      expect(await client.update(`${key}-absent`, () => undefined)).toBe(undefined)
    })

    test('update keeps the expiry unless told otherwise', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      await client.set(key, 1, { ttl: 60_000 })
      const { expiresAt } = (await client.getEntry(key)) ?? {}
      expect(expiresAt).toBeGreaterThan(0)
      expect((await client.update(key, () => 2))?.expiresAt).toBe(expiresAt)
      expect((await client.getEntry(key))?.expiresAt).toBe(expiresAt)
      await client.update(key, () => 3, { keepTtl: false })
      expect(await client.get(key)).toBe(3)
    })

    test('updates by two clients at once → none is lost', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      const updates = Array.from({ length: 24 }, (_, index) =>
        (index % 2 === 0 ? client : other).update(key, (value) => (value ?? 0) + 1, {
          retries: 1_000,
        }),
      )
      await Promise.all(updates)
      expect(await client.get(key)).toBe(24)
    })

    test('update out of retries → CONFLICT, not applied', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      await client.set(key, 0)
      let runs = 0
      const failure = await failureOf(() =>
        client.update(
          key,
          async () => {
            runs += 1
            await other.set(key, -runs)
            return runs
          },
          { retries: 2 },
        ),
      )
      expect(failure).toBe('CONFLICT not-applied')
      expect(runs).toBe(3)
      expect(await client.get(key)).toBe(-3)
    })

    test('what the function of update throws → the rejection, nothing written', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const mistake = new Error('mistake')
      await expect(
        client.update(key, () => {
          throw mistake
        }),
      ).rejects.toBe(mistake)
      expect(await client.has(key)).toBe(false)
    })
  })
}
