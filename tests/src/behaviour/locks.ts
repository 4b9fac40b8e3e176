import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf } from './rejection.js'

/** Long enough that nobody asks again but because it was woken: a wake-up that is lost fails. */
const TTL_MS = 90_000
const WAIT_MS = 9_000

/** A key of a lock, and others in the same shard. */
function ownLock(): { readonly key: string; readonly tag: string } {
  const tag = `{${ownPrefix()}}`
  return { key: `${tag}lock`, tag }
}

export function describeLocks(clients: () => Clients): void {
  describe('locks', () => {
    test('free → had, as an entry that ends; released → gone', async () => {
      const { client, other } = clients()
      const { key } = ownLock()
      const lock = await client.lock(key, { ttl: TTL_MS })
      const entry = await other.getEntry(key)
      expect(lock).toMatchObject({ key, version: entry?.version, token: entry?.version })
      expect(entry?.value).toBeTypeOf('string')
      expect(entry?.expiresAt).toBeGreaterThan(0)
      expect(lock.signal.aborted).toBe(false)
      await lock.release()
      expect(await other.has(key)).toBe(false)
      await lock.release()
      expect(lock.signal.aborted).toBe(false)
    })

    test('held → LOCKED at once, or when wait is over, also for its own client', async () => {
      const { client, other } = clients()
      const { key, tag } = ownLock()
      const lock = await client.lock(key, { ttl: TTL_MS })
      for (const kv of [client, other]) {
        expect(await failureOf(() => kv.lock(key, { ttl: TTL_MS }))).toBe('LOCKED not-applied')
        expect(await failureOf(() => kv.lock(key, { ttl: TTL_MS, wait: 30 }))).toBe(
          'LOCKED not-applied',
        )
      }
      expect(await client.keys({ prefix: tag }).toArray()).toEqual([key])
      await lock.release()
      await (await other.lock(key, { ttl: TTL_MS })).release()
    })

    test('several wait → one at a time, in the order they came; tokens grow', async () => {
      const { client, other } = clients()
      const { key } = ownLock()
      const first = await client.lock(key, { ttl: TTL_MS })
      const order: number[] = []
      const tokens = [first.token]
      let holders = 1
      const waiting: Promise<void>[] = []
      for (let number = 0; number < 6; number += 1) {
        const kv = number % 2 === 0 ? client : other
        const hold = async (): Promise<void> => {
          const lock = await kv.lock(key, { ttl: TTL_MS, wait: WAIT_MS })
          holders += 1
          expect(holders).toBe(1)
          order.push(number)
          tokens.push(lock.token)
          await kv.get(key)
          holders -= 1
          await lock.release()
        }
        waiting.push(hold())
        // In its place before the next one asks.
        await failureOf(() => kv.lock(key, { ttl: TTL_MS }))
      }
      holders -= 1
      await first.release()
      await Promise.all(waiting)
      expect(order).toEqual([0, 1, 2, 3, 4, 5])
      expect(tokens).toEqual(tokens.toSorted((left, right) => left - right))
      expect(new Set(tokens).size).toBe(7)
      expect(await client.has(key)).toBe(false)
    })

    test('its version → fences: a batch that checks it is refused once another has it', async () => {
      const { client, other } = clients()
      const { key, tag } = ownLock()
      const lock = await client.lock(key, { ttl: TTL_MS })
      const write = (value: string): Promise<{ ok: boolean }> =>
        client.atomic().check(lock.key, lock.version).set(`${tag}data`, value).commit()
      expect((await write('mine')).ok).toBe(true)
      // As a renewal does: the version stays.
      await client.touch(key, TTL_MS)
      expect((await write('still mine')).ok).toBe(true)
      await lock.release()
      const next = await other.lock(key, { ttl: TTL_MS })
      expect((await write('too late')).ok).toBe(false)
      expect(await other.get(`${tag}data`)).toBe('still mine')
      expect(next.version).toBeGreaterThan(lock.version)
      await next.release()
    })

    test('an abort while it waits → the reason, and others are not held up', async () => {
      const { client, other } = clients()
      const { key } = ownLock()
      const lock = await client.lock(key, { ttl: TTL_MS })
      const abort = new AbortController()
      const aborted = other.lock(key, { ttl: TTL_MS, wait: WAIT_MS, signal: abort.signal })
      await failureOf(() => other.lock(key, { ttl: TTL_MS }))
      const behind = client.lock(key, { ttl: TTL_MS, wait: WAIT_MS })
      await failureOf(() => client.lock(key, { ttl: TTL_MS }))
      abort.abort(new Error('enough'))
      await expect(aborted).rejects.toThrow('enough')
      await lock.release()
      await (await behind).release()
    })

    test('its entry is taken away → LOCK_LOST, and nothing is released any more', async () => {
      const { client, other } = clients()
      const { key } = ownLock()
      const lock = await client.lock(key, { ttl: 900 })
      const aborted = new Promise((resolve) => {
        lock.signal.addEventListener('abort', resolve)
      })
      await other.set(key, 'mine')
      await aborted
      expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST', outcome: 'not-applied' })
      await lock.release()
      expect(await other.get(key)).toBe('mine')
    })

    test('the program stood still past the ttl → known at the next look', async () => {
      const { client } = clients()
      const { key } = ownLock()
      const ttl = 250
      const lock = await client.lock(key, { ttl })
      const until = performance.now() + ttl
      while (performance.now() <= until);
      expect(lock.signal.aborted).toBe(true)
      expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' })
      await lock.release()
    })

    test('in a namespace → under its prefix, and called by its short name', async () => {
      const { client } = clients()
      const { tag } = ownLock()
      const jobs = client.namespace(`${tag}jobs/`)
      const lock = await jobs.lock('7', { ttl: TTL_MS })
      expect(lock.key).toBe('7')
      expect(await client.has(`${tag}jobs/7`)).toBe(true)
      const batch = jobs.atomic().check(lock.key, lock.version).set('result', 1)
      expect((await batch.commit()).ok).toBe(true)
      await lock.release()
      expect(await jobs.keys().toArray()).toEqual(['result'])
    })

    test('mistakes → TypeError or INVALID_KEY', async () => {
      const { client } = clients()
      const { key } = ownLock()
      const loose = client as unknown as { lock(...args: unknown[]): Promise<unknown> }
      for (const options of [
        undefined,
        {},
        { ttl: 0 },
        { ttl: 1, wait: -1 },
        { ttl: 1, wiat: 1 },
      ]) {
        expect([options, await failureOf(() => loose.lock(key, options))]).toEqual([
          options,
          'TypeError',
        ])
      }
      expect(await failureOf(() => client.lock('', { ttl: 1 }))).toBe('INVALID_KEY not-applied')
      const aborted = { ttl: 1, signal: AbortSignal.abort(new Error('before')) }
      await expect(client.lock(key, aborted)).rejects.toThrow('before')
      expect(await client.has(key)).toBe(false)
    })
  })
}
