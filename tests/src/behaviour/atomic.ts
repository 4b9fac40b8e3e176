import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf } from './rejection.js'

/** Keys that share a shard, and are no other test's. */
function ownKeys(): { readonly a: string; readonly b: string; readonly n: string } {
  const tag = `{${ownPrefix()}}`
  return { a: `${tag}a`, b: `${tag}b`, n: `${tag}n` }
}

export function describeAtomic(clients: () => Clients): void {
  describe('atomic', () => {
    test('checks hold → everything is done, as one version', async () => {
      const { client } = clients()
      const { a, b, n } = ownKeys()
      const { version: old } = await client.set(a, 'old')
      const result = await client
        .atomic()
        .check(a, old)
        .check(b, null)
        .set(a, { new: [1n, new Date(0)] })
        .set(b, 'b', { ttl: 60_000 })
        .increment(n, 5)
        .commit()
      if (!result.ok) throw new Error('a check failed')
      const { version } = result
      expect(version).toBeGreaterThan(old)
      expect(result.results).toEqual([
        true,
        true,
        { ok: true, version },
        { ok: true, version },
        { value: 5, version },
      ])
      const entries = await client.getEntries([a, b, n])
      expect(entries.map((entry) => entry?.version)).toEqual([version, version, version])
      expect(entries[0]?.value).toEqual({ new: [1n, new Date(0)] })
      expect(entries[1]?.expiresAt).toBeGreaterThan(0)
      expect(entries[2]?.value).toBe(5)
    })

    test('a check fails → nothing is done, and what stands there is told', async () => {
      const { client } = clients()
      const { a, b } = ownKeys()
      await client.set(a, 1)
      const current = await client.getEntry(a)
      const batch = client.atomic().set(b, 1).check(a, null).check(b, 9).delete(a)
      expect(await batch.commit()).toEqual({
        ok: false,
        failed: [
          { key: a, current },
          { key: b, current: undefined },
        ],
      })
      expect(await client.hasMany([a, b])).toEqual([true, false])
    })

    test('operations → each sees those before it', async () => {
      const { client } = clients()
      const { a, b, n } = ownKeys()
      const result = await client
        .atomic()
        .set(n, 10)
        .increment(n, 5)
        .touch(n, 60_000)
        .delete(a)
        .set(a, 1)
        .delete(a)
        .touch(a, 5)
        .set(b, 1)
        .commit()
      expect(result.ok && result.results.map((each) => typeof each === 'boolean' && each)).toEqual([
        false,
        false,
        true,
        false,
        false,
        true,
        false,
        false,
      ])
      expect(await client.getMany([n, a, b])).toEqual([15, undefined, 1])
      expect((await client.getEntry(n))?.expiresAt).toBeGreaterThan(0)
    })

    test('an operation that is refused → the whole is, and nothing is done', async () => {
      const { client } = clients()
      const { a, b, n } = ownKeys()
      await client.set(b, 'text')
      expect(await failureOf(() => client.atomic().set(a, 1).increment(b).commit())).toBe(
        'NOT_A_NUMBER not-applied',
      )
      expect(
        await failureOf(() => client.atomic().set(a, 1).increment(n, 9, { max: 8 }).commit()),
      ).toBe('OUT_OF_RANGE not-applied')
      expect(await client.hasMany([a, n])).toEqual([false, false])
    })

    test('nothing but checks → a read of several keys at one moment', async () => {
      const { client } = clients()
      const { a, b } = ownKeys()
      const { version } = await client.set(a, 1)
      const held = await client.atomic().check(a, version).check(b, null).commit()
      expect(held).toEqual({ ok: true, version: expect.any(Number), results: [true, true] })
      expect((await client.getEntry(a))?.version).toBe(version)
      expect(await client.atomic().check(b, version).commit()).toMatchObject({ ok: false })
    })

    test('transfers by two clients at once → the sum stays, none is lost', async () => {
      const { client, other } = clients()
      const { a, b } = ownKeys()
      await client.atomic().set(a, 100).set(b, 0).commit()
      let done = 0
      const transfer = async (kv: typeof client): Promise<void> => {
        for (;;) {
          const entry = await kv.getEntry(a)
          const batch = kv.atomic().check(a, entry!.version).increment(a, -1).increment(b, 1)
          if (!(await batch.commit()).ok) continue
          done += 1
          return
        }
      }
      await Promise.all(Array.from({ length: 20 }, (_, at) => transfer(at % 2 ? client : other)))
      expect(done).toBe(20)
      expect(await other.getMany([a, b])).toEqual([80, 20])
    })

    test('a thousand operations → done; one more → BATCH_TOO_LARGE', async () => {
      const { client } = clients()
      const { a, n } = ownKeys()
      const batch = client.atomic()
      for (let index = 0; index < 1_000; index += 1) {
        if (index % 2 === 0) batch.increment(n)
        else batch.set(`${a}${index}`, index)
      }
      const result = await batch.commit()
      expect(result.ok && result.results).toHaveLength(1_000)
      expect(await client.get(n)).toBe(500)
      const large = client.atomic()
      for (let index = 0; index < 1_001; index += 1) large.increment(n)
      expect(await failureOf(() => large.commit())).toBe('BATCH_TOO_LARGE not-applied')
      expect(await client.get(n)).toBe(500)
    })

    test('large values in the conflicts → all of them are told', async () => {
      const { client } = clients()
      const { a, b, n } = ownKeys()
      const value = 'x'.repeat(400_000)
      await client.setMany([a, b, n].map((key) => [key, value] as const))
      const result = await client.atomic().check(a, null).check(b, null).check(n, null).commit()
      if (result.ok) throw new Error('the checks must fail')
      expect(result.failed.map(({ key, current }) => [key, current?.value === value])).toEqual([
        [a, true],
        [b, true],
        [n, true],
      ])
    })

    test('committed twice, or without an operation → TypeError', async () => {
      const { client } = clients()
      const { a } = ownKeys()
      const batch = client.atomic().increment(a)
      await batch.commit()
      expect(await failureOf(() => batch.commit())).toBe('TypeError')
      expect(await failureOf(() => client.atomic().commit())).toBe('TypeError')
      expect(await client.get(a)).toBe(1)
    })
  })
}
