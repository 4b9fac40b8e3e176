import { compareKeys } from '@kv/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ListOptions } from '../keyspace.js'
import { connectedHarness, harness, settle } from '../testing/harness.js'
import { keyRangeOf } from './range.js'

const anyKey = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 })

function expectedKeys(keys: readonly string[], options: ListOptions): string[] {
  const { from, to } = keyRangeOf(options)
  const sorted = keys
    .filter((key) => compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0))
    .toSorted(compareKeys)
  if (options.reverse === true) sorted.reverse()
  return sorted.slice(0, options.limit)
}

test('list: any keys, range, limit, direction and page size → as of one sorted array', async () => {
  const anyOptions = fc.record(
    {
      prefix: fc.string({ unit: 'grapheme', maxLength: 2 }),
      gte: anyKey,
      lt: anyKey,
      limit: fc.nat(40),
      reverse: fc.boolean(),
      pageSize: fc.integer({ min: 1, max: 20 }),
    },
    { requiredKeys: [] },
  )
  const stepMax = fc.integer({ min: 1, max: 20 })
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(anyKey, { maxLength: 60 }),
      anyOptions,
      stepMax,
      async (keys, options, step) => {
        const { kv, node } = await connectedHarness({ shards: 4, children: 2 })
        await kv.setMany(keys.map((key) => [key, key]))
        node.store.stepMax = step
        const expected = expectedKeys(keys, options)
        expect(await kv.keys(options).toArray()).toEqual(expected)
        const entries = await kv.list(options).toArray()
        expect(entries.map(({ key, value }) => [key, value])).toEqual(
          expected.map((key) => [key, key]),
        )
        const { prefix, gte, lt } = options
        expect(await kv.count({ prefix, gte, lt })).toBe(
          expectedKeys(keys, { ...options, limit: Infinity }).length,
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('cursor: stopping anywhere and going on elsewhere → every key once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(anyKey, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      async (keys, limit, reverse) => {
        const { kv } = await connectedHarness({ shards: 4 })
        await kv.setMany(keys.map((key) => [key, 1]))
        const seen: string[] = []
        let cursor: string | undefined
        do {
          const listing = kv.keys({ limit, reverse, ...(cursor !== undefined && { cursor }) })
          seen.push(...(await listing.toArray()))
          ;({ cursor } = listing)
        } while (cursor !== undefined)
        expect(seen).toEqual(expectedKeys(keys, { reverse }))
      },
    ),
    { numRuns: 40 },
  )
})

async function filled(count: number, shards: number = 16) {
  const made = await connectedHarness({ shards, children: 2 })
  const keys = Array.from({ length: count }, (_, index) => `key-${String(index).padStart(5, '0')}`)
  await made.kv.setMany(keys.map((key) => [key, key]))
  made.node.batches.length = 0
  return { ...made, keys }
}

test('limit: small, over 16 shards → one round trip, one message for each child', async () => {
  const { kv, node, keys } = await filled(1_000)
  expect(await kv.keys({ limit: 10 }).toArray()).toEqual(keys.slice(0, 10))
  expect(node.batches.map(({ calls }) => calls.length)).toEqual([8, 8])
})

test.each([1, 10, 100, 500])(
  'limit %i: items fetched → at most the limit and one page for each shard',
  async (limit) => {
    const { kv, node, keys } = await filled(3_000)
    const pageSize = 20
    expect(await kv.keys({ limit, pageSize }).toArray()).toEqual(keys.slice(0, limit))
    await settle()
    expect(node.store.itemsScanned).toBeLessThanOrEqual(limit + 16 * pageSize)
  },
)

test('break: in the middle → no more is fetched, the cursor is after the last item', async () => {
  const { kv, node, keys } = await filled(3_000)
  const listing = kv.list({ pageSize: 10 })
  for await (const { key } of listing) if (key === keys[99]) break
  await settle()
  expect(node.store.itemsScanned).toBeLessThanOrEqual(100 + 16 * 10)
  const rest = kv.keys({ cursor: listing.cursor!, limit: 2 })
  expect(await rest.toArray()).toEqual([keys[100], keys[101]])
})

test('cursor: before the first item what was given; at the end undefined', async () => {
  const { kv } = await filled(5)
  const all = kv.keys()
  expect(all.cursor).toBeUndefined()
  expect(await all.toArray()).toHaveLength(5)
  expect(all.cursor).toBeUndefined()
  const part = kv.keys({ limit: 2 })
  await part.toArray()
  const { cursor } = part
  const rest = kv.keys({ cursor: cursor! })
  expect(rest.cursor).toBe(cursor)
  expect(await rest.toArray()).toHaveLength(3)
  expect(rest.cursor).toBeUndefined()
})

test('cursor: of a listing of entries → goes on in one of keys', async () => {
  const { kv, keys } = await filled(5)
  const listing = kv.list({ prefix: 'key-', limit: 2 })
  await listing.toArray()
  expect(await kv.keys({ prefix: 'key-', cursor: listing.cursor! }).toArray()).toEqual(
    keys.slice(2),
  )
})

test('pages: arrays of pageSize, the last shorter', async () => {
  const { kv, keys } = await filled(25)
  const pages: string[][] = []
  for await (const page of kv.keys({ pageSize: 10 }).pages()) pages.push(page)
  expect(pages).toEqual([keys.slice(0, 10), keys.slice(10, 20), keys.slice(20)])
})

test('single use: a second walk → TypeError', async () => {
  const { kv } = await filled(3)
  const listing = kv.keys()
  await listing.toArray()
  await expect(listing.toArray()).rejects.toBeInstanceOf(TypeError)
})

test('bad options → the error comes at the first item, never from the call', async () => {
  const { kv } = await connectedHarness()
  const bad: ListOptions[] = [
    { limit: -1 },
    { limit: 1.5 },
    { pageSize: 0 },
    { pageSize: 1_001 },
    { prefix: 5 as unknown as string },
    { reverse: 1 as unknown as boolean },
    { timeout: 0 },
  ]
  for (const options of bad) {
    await expect(kv.list(options).toArray()).rejects.toBeInstanceOf(TypeError)
  }
  await expect(kv.list({ cursor: 'nonsense' }).toArray()).rejects.toMatchObject({
    code: 'INVALID_CURSOR',
  })
})

test('empty range: nothing is asked', async () => {
  const { kv, node } = harness()
  expect(await kv.list({ gte: 'b', lt: 'a' }).toArray()).toEqual([])
  expect(await kv.count({ gt: 'b', lt: 'b' })).toBe(0)
  expect(node.links).toHaveLength(0)
})

test('await using: leaving the block → the listing ends', async () => {
  const { kv, keys } = await filled(100)
  const listing = kv.keys({ pageSize: 10 })
  const iterator = listing[Symbol.asyncIterator]()
  expect(await iterator.next()).toEqual({ value: keys[0], done: false })
  await listing[Symbol.asyncDispose]()
  expect(await iterator.next()).toMatchObject({ done: true })
})

test('a prefix with a whole tag → one shard is asked', async () => {
  const { kv, node } = await connectedHarness({ shards: 16 })
  await kv.setMany([
    ['{a}:1', 1],
    ['{a}:2', 2],
  ])
  node.batches.length = 0
  expect(await kv.keys({ prefix: '{a}:' }).toArray()).toEqual(['{a}:1', '{a}:2'])
  expect(node.batches.flatMap(({ calls }) => calls)).toHaveLength(1)
})

test('clear and count: in steps over all shards → the numbers add up', async () => {
  const { kv, node } = await filled(300)
  await kv.set('other', 1)
  node.store.stepMax = 7
  expect(await kv.count({ prefix: 'key-' })).toBe(300)
  expect(await kv.clear({ prefix: 'key-000' })).toBe(100)
  expect(await kv.clear({ all: true })).toBe(201)
  expect(await kv.count()).toBe(0)
})

test.each([undefined, {}, { prefix: '' }, { all: false }, { all: true, prefix: 'a' }])(
  'clear: %j → TypeError, nothing sent',
  async (options) => {
    const { kv, node } = await connectedHarness()
    await expect(kv.clear(options as never)).rejects.toBeInstanceOf(TypeError)
    expect(node.batches).toHaveLength(0)
  },
)
