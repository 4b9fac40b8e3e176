import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inUtf8 } from './bytes.js'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf } from './rejection.js'

/** First characters whose order in UTF-8 is not that of UTF-16 units. */
const ALPHABET = [
  'a',
  'z',
  '~',
  'é',
  '߿',
  'ࠀ',
  '語',
  '\ud7ff',
  '\ue000',
  '\uf8ff',
  '\uffff',
  '😀',
  '\u{10ffff}',
]
const KEY_COUNT = 4_000

export function describeListing(clients: () => Clients): void {
  describe('listing', () => {
    const prefix = ownPrefix()
    const keys = [...oddlyOrdered(prefix)]
    const sorted = keys.toSorted(inUtf8)
    const middle = sorted[1_500] ?? ''
    const later = sorted[2_500] ?? ''

    beforeAll(async () => {
      await clients().client.setMany(keys.map((key, index) => [key, index] as const))
    })
    afterAll(async () => {
      await clients().client.clear({ prefix })
    })

    test('4,000 keys come in the order of their UTF-8 bytes, over all shards', async () => {
      const { other } = clients()
      expect(sorted).not.toEqual(keys.toSorted())
      expect(await other.keys({ prefix }).toArray()).toEqual(sorted)
    })

    test('reverse → exactly the other way round', async () => {
      const { client } = clients()
      expect(await client.keys({ prefix, reverse: true }).toArray()).toEqual(sorted.toReversed())
    })

    test('list → entries with the value and version that getEntry shows', async () => {
      const { client } = clients()
      const entries = await client.list({ prefix, limit: 50 }).toArray()
      expect(entries).toEqual(await client.getEntries(sorted.slice(0, 50)))
    })

    test('bounds and prefix intersect', async () => {
      const { client } = clients()
      const all = (range: object) => client.keys({ prefix, ...range }).toArray()
      expect(await all({ gte: middle })).toEqual(sorted.slice(1_500))
      expect(await all({ gt: middle })).toEqual(sorted.slice(1_501))
      expect(await all({ lt: middle })).toEqual(sorted.slice(0, 1_500))
      expect(await all({ lte: middle })).toEqual(sorted.slice(0, 1_501))
      expect(await all({ gt: middle, lte: later })).toEqual(sorted.slice(1_501, 2_501))
      expect(await all({ gte: middle, lt: later, reverse: true })).toEqual(
        sorted.slice(1_500, 2_500).toReversed(),
      )
      expect(await all({ gt: later, lt: middle })).toEqual([])
      expect(await all({ gte: `${prefix.slice(0, -1)}0` })).toEqual([])
      expect(await all({ lt: prefix })).toEqual([])
    })

    test('limit is the total', async () => {
      const { client } = clients()
      expect(await client.keys({ prefix, limit: 0 }).toArray()).toEqual([])
      expect(await client.keys({ prefix, limit: 1 }).toArray()).toEqual(sorted.slice(0, 1))
      expect(await client.keys({ prefix, limit: 777 }).toArray()).toEqual(sorted.slice(0, 777))
      expect(await client.keys({ prefix, limit: 9_999 }).toArray()).toEqual(sorted)
      expect(await client.keys({ prefix, limit: 3, reverse: true }).toArray()).toEqual(
        sorted.slice(-3).toReversed(),
      )
    })

    test('count → how many, of a range and of a part', async () => {
      const { client } = clients()
      expect(await client.count({ prefix })).toBe(KEY_COUNT)
      expect(await client.count({ prefix, gte: middle })).toBe(KEY_COUNT - 1_500)
      expect(await client.count({ gt: middle, lt: later })).toBe(999)
      expect(await client.count({ prefix: `${prefix}nothing` })).toBe(0)
      expect(await client.count()).toBeGreaterThanOrEqual(KEY_COUNT)
    })

    test('pages → arrays of pageSize, the last one shorter', async () => {
      const { client } = clients()
      const sizes: number[] = []
      const found: string[] = []
      for await (const page of client.keys({ prefix, pageSize: 300 }).pages()) {
        sizes.push(page.length)
        found.push(...page)
      }
      expect(sizes).toEqual([...Array.from({ length: 13 }, () => 300), 100])
      expect(found).toEqual(sorted)
    })

    test.each([false, true])(
      'a cursor goes on in another client where the first stopped (reverse: %s)',
      async (reverse) => {
        const { client, other } = clients()
        const expected = reverse ? sorted.toReversed() : sorted
        const found: string[] = []
        let cursor: string | undefined
        let reader = client
        do {
          const page = reader.keys({ prefix, reverse, limit: 450, cursor })
          found.push(...(await page.toArray()))
          cursor = page.cursor
          reader = reader === client ? other : client
        } while (cursor !== undefined && found.length <= KEY_COUNT)
        expect(found).toEqual(expected)
      },
    )

    test('a cursor stands after the last entry handed out, also after break', async () => {
      const { client, other } = clients()
      const listing = client.keys({ prefix })
      const found: string[] = []
      for await (const key of listing) {
        found.push(key)
        if (found.length === 123) break
      }
      const { cursor } = listing
      expect(cursor).toEqual(expect.any(String))
      found.push(...(await other.keys({ prefix, cursor }).toArray()))
      expect(found).toEqual(sorted)
    })

    test('at the end there is no cursor', async () => {
      const { client } = clients()
      const listing = client.keys({ prefix, gte: later })
      await listing.toArray()
      expect(listing.cursor).toBe(undefined)
    })

    test('keys written and deleted behind a cursor do not disturb it', async () => {
      const { client } = clients()
      const own = ownPrefix()
      const names = Array.from({ length: 100 }, (_, index) => own + String(index).padStart(3, '0'))
      await client.setMany(names.map((name) => [name, 1] as const))
      const first = client.keys({ prefix: own, limit: 50 })
      expect(await first.toArray()).toEqual(names.slice(0, 50))
      await client.deleteMany(names.slice(40, 60))
      await client.set(`${own}050!`, 'new')
      const rest = await client.keys({ prefix: own, cursor: first.cursor }).toArray()
      expect(rest).toEqual([`${own}050!`, ...names.slice(60)])
    })

    test('a cursor of another range, direction or of no listing → INVALID_CURSOR', async () => {
      const { client } = clients()
      const page = client.keys({ prefix, limit: 10 })
      await page.toArray()
      const { cursor } = page
      const failures = [
        await failureOf(() => client.keys({ prefix, reverse: true, cursor }).toArray()),
        await failureOf(() => client.keys({ prefix: `${prefix}a`, cursor }).toArray()),
        await failureOf(() => client.keys({ prefix, cursor: 'nonsense' }).toArray()),
        await failureOf(() => client.keys({ prefix, cursor: '' }).toArray()),
        await failureOf(() => client.list({ prefix, cursor: `${cursor}A` }).toArray()),
      ]
      expect(new Set(failures)).toEqual(new Set(['INVALID_CURSOR not-applied']))
    })

    test('a listing can be walked once', async () => {
      const { client } = clients()
      const listing = client.keys({ prefix, limit: 1 })
      await listing.toArray()
      expect(await failureOf(() => listing.toArray())).toBe('TypeError')
    })

    test('a listing that nobody walks and one that is left early leave nothing open', async () => {
      const { client } = clients()
      client.list({ prefix })
      for await (const _ of client.list({ prefix })) break
      {
        await using listing = client.list({ prefix })
        for await (const _ of listing) break
      }
      expect(await client.has(middle)).toBe(true)
    })
  })
}

/** Keys of the alphabet in an order of their own, none twice. */
function* oddlyOrdered(prefix: string): Generator<string> {
  for (let index = 0; index < KEY_COUNT; index += 1) {
    const first = ALPHABET[(index * 7) % ALPHABET.length]
    const second = ALPHABET[(index * 5 + Math.floor(index / 13)) % ALPHABET.length]
    yield `${prefix}${first}${second}${(index * 7_919) % 10_007}`
  }
}
