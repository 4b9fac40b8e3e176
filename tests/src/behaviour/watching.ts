import type { Keyspace, WatchOptions } from '@kv/client'
import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf, rejectionOf } from './rejection.js'

// oxlint-disable-next-line typescript/no-explicit-any
type AnyKeyspace = Pick<Keyspace<any>, 'watch'>
type Event = Record<string, unknown> & { readonly type: string; readonly cursor: string }

/** A watch that is read step by step. */
class Watching {
  private readonly events: AsyncIterator<Event>
  cursor = ''

  constructor(keyspace: AnyKeyspace, what: unknown, options?: WatchOptions) {
    const watch = keyspace.watch(what as string, options) as unknown as AsyncIterable<Event>
    this.events = watch[Symbol.asyncIterator]()
  }

  /** The next event. */
  async next(): Promise<Event> {
    const { value } = (await this.events.next()) as { value: Event }
    this.cursor = value.cursor
    return value
  }

  /** The next events as `type key value`, up to and with the first that is `last`. */
  async until(last: string): Promise<string[]> {
    const seen: string[] = []
    do seen.push(inShort(await this.next()))
    while (seen.at(-1) !== last)
    return seen
  }

  async end(): Promise<void> {
    await this.events.return?.()
  }
}

function inShort({ type, key, value, reason }: Event): string {
  return [type, key, value, reason]
    .filter((part) => part !== undefined)
    .map(String)
    .join(' ')
}

export function describeWatching(clients: () => Clients): void {
  describe('watching', () => {
    test('a key → ready, then each change once, in order, whoever made it (P6)', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      await client.set(key, 'before')
      const watch = new Watching(client, key)
      expect(await watch.until('ready')).toEqual(['ready'])
      const { version } = await other.set(key, 'one')
      expect(await watch.next()).toMatchObject({ type: 'set', key, value: 'one', version })
      await client.set(key, 'two', { ttl: 60_000 })
      await other.delete(key)
      await other.increment(key, 7)
      const { expiresAt, ...second } = await watch.next()
      expect(second).toMatchObject({ type: 'set', value: 'two' })
      expect(expiresAt).toBeGreaterThan(0)
      const deletion = await watch.next()
      expect(deletion).toMatchObject({ type: 'delete', key })
      expect(deletion['version']).toBeGreaterThan(version)
      expect(await watch.next()).toMatchObject({ type: 'set', value: 7 })
      await watch.end()
    })

    test('a list and a prefix → what they are about, over all shards', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const keys = Array.from({ length: 50 }, (_, index) => `${prefix}${index}`)
      const list = new Watching(client, keys.slice(0, 40))
      const all = new Watching(client, { prefix })
      await Promise.all([list.until('ready'), all.until('ready')])
      await other.setMany(keys.map((key) => [key, 1] as const))
      await other.set(`${prefix.slice(0, -1)}0`, 'a neighbour')
      const seen = async (watch: Watching, count: number): Promise<string[]> => {
        const events: string[] = []
        while (events.length < count) events.push(inShort(await watch.next()))
        return events.toSorted()
      }
      const expected = keys.map((key) => `set ${key} 1`)
      expect(await seen(list, 40)).toEqual(expected.slice(0, 40).toSorted())
      expect(await seen(all, 50)).toEqual(expected.toSorted())
      await other.deleteMany(keys)
      const deleted = keys.map((key) => `delete ${key}`)
      expect(await seen(list, 40)).toEqual(deleted.slice(0, 40).toSorted())
      expect(await seen(all, 50)).toEqual(deleted.toSorted())
      await Promise.all([list.end(), all.end()])
    })

    test('initial → the current values as set, then ready', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      await client.setMany([
        [`${prefix}a`, 1],
        [`${prefix}b`, 2],
      ])
      const watch = new Watching(client, { prefix }, { initial: true })
      const seen = await watch.until('ready')
      expect(seen.toSorted()).toEqual(['ready', `set ${prefix}a 1`, `set ${prefix}b 2`])
      await client.set(`${prefix}a`, 3)
      expect(inShort(await watch.next())).toBe(`set ${prefix}a 3`)
      await watch.end()
    })

    test('since → everything after the cursor, in another client, then ready (P6)', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const first = new Watching(client, { prefix })
      await first.until('ready')
      await client.set(`${prefix}a`, 1)
      await first.next()
      const { cursor } = first
      await first.end()
      await client.set(`${prefix}a`, 2)
      await client.set(`${prefix}b`, 3)
      await client.delete(`${prefix}a`)
      const second = new Watching(other, { prefix }, { since: cursor })
      const seen = await second.until('ready')
      expect(seen.filter((event) => event.includes(`${prefix}a`))).toEqual([
        `set ${prefix}a 2`,
        `delete ${prefix}a`,
      ])
      expect(seen.toSorted()).toEqual(
        [`set ${prefix}a 2`, `set ${prefix}b 3`, `delete ${prefix}a`, 'ready'].toSorted(),
      )
      await second.end()
    })

    test('the end of an entry’s time → expire', async () => {
      const { client, clock } = clients()
      const key = `${ownPrefix()}key`
      const watch = new Watching(client, key)
      await watch.until('ready')
      const expiresAt = clock.now() + 100
      await client.set(key, 'short-lived', { expiresAt })
      expect(inShort(await watch.next())).toBe(`set ${key} short-lived`)
      await clock.reach(expiresAt, client)
      expect(inShort(await watch.next())).toBe(`expire ${key}`)
      expect(await client.get(key)).toBe(undefined)
      await watch.end()
    })

    test('touch → no event; clear → one for each key', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      const key = `${prefix}key`
      await client.set(key, 1)
      const watch = new Watching(client, { prefix })
      await watch.until('ready')
      await client.touch(key, 60_000)
      await client.clear({ prefix })
      expect(inShort(await watch.next())).toBe(`delete ${key}`)
      await watch.end()
    })

    test('an atomic batch → its changes, in one version', async () => {
      const { client } = clients()
      const prefix = `${ownPrefix()}{tag}`
      const watch = new Watching(client, { prefix })
      await watch.until('ready')
      await client.atomic().set(`${prefix}a`, 1).set(`${prefix}b`, 2).set(`${prefix}a`, 3).commit()
      const events = [await watch.next(), await watch.next()]
      expect(events.map(inShort).toSorted()).toEqual([`set ${prefix}a 3`, `set ${prefix}b 2`])
      expect(events[0]?.['version']).toBe(events[1]?.['version'])
      await watch.end()
    })

    test('in a namespace → the short keys, and the values its schema takes', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      const own = client.namespace(prefix)
      await own.set('old', 1)
      const watch = new Watching(own, { prefix: '' }, { initial: true })
      expect(await watch.until('ready')).toEqual(['set old 1', 'ready'])
      const one = new Watching(own, 'key')
      await one.until('ready')
      await client.set(`${prefix}key`, 2)
      expect([await watch.next(), await one.next()].map(inShort)).toEqual([
        'set key 2',
        'set key 2',
      ])
      await Promise.all([watch.end(), one.end()])
    })

    test('a reader that is slow → misses nothing of 3,000 changes (P6, P7)', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const watch = new Watching(client, { prefix })
      await watch.until('ready')
      const value = 'x'.repeat(1_000)
      for (let round = 0; round < 3; round += 1) {
        const entries = Array.from(
          { length: 1_000 },
          (_, index) => [`${prefix}${index}`, round + value] as const,
        )
        await other.setMany(entries)
      }
      const roundsByKey = new Map<unknown, string[]>()
      for (let count = 0; count < 3_000; count += 1) {
        const { type, key, value: found } = await watch.next()
        expect(type).toBe('set')
        roundsByKey.set(key, [...(roundsByKey.get(key) ?? []), String(found).charAt(0)])
      }
      expect(roundsByKey.size).toBe(1_000)
      expect(new Set([...roundsByKey.values()].map((rounds) => rounds.join('')))).toEqual(
        new Set(['012']),
      )
      await watch.end()
    })

    test('break, an abort, a mistake → the watch ends, with the reason', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      for await (const event of client.watch(key)) {
        expect(event.type).toBe('ready')
        break
      }
      const controller = new AbortController()
      const watch = new Watching(client, key, { signal: controller.signal })
      await watch.until('ready')
      const reason = new Error('seen enough')
      const next = rejectionOf(() => watch.next())
      controller.abort(reason)
      expect(await next).toBe(reason)
      const failures = [
        [[], 'TypeError'],
        [{}, 'TypeError'],
        [5, 'TypeError'],
        ['', 'INVALID_KEY not-applied'],
      ] as const
      for (const [what, failure] of failures) {
        expect(await failureOf(() => new Watching(client, what).next())).toBe(failure)
      }
      const since = new Watching(client, key, { since: 'nonsense' })
      expect(await failureOf(() => since.next())).toBe('INVALID_CURSOR not-applied')
    })
  })
}
