import { expect, test } from 'vitest'
import { connectedHarness, harness, settle } from '../testing/harness.js'
import { PATIENCE_MS } from './outbox.js'

test('own writes: a read of a key with an unanswered write → travels behind the write', async () => {
  const { kv, node } = await connectedHarness()
  const write = kv.set('a', 'new')
  const reads = [kv.get('a'), kv.has('a'), kv.getMany(['a'])]
  await write
  expect(await Promise.all(reads)).toEqual(['new', true, ['new']])
  expect(node.batches.map(({ kind, calls }) => [kind, calls.map(({ type }) => type)])).toEqual([
    ['writes', ['set', 'get', 'has', 'get']],
  ])
})

test('own writes: the write was sent in an earlier turn → still behind it', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const write = kv.set('a', 'new')
  await settle()
  const read = kv.get('a')
  const other = kv.get('b')
  await settle()
  clock.advance(PATIENCE_MS)
  expect(node.batches.map(({ kind }) => kind)).toEqual(['writes', 'reads', 'writes'])
  node.answerHeld()
  expect(await Promise.all([write, read, other])).toMatchObject([{ ok: true }, 'new', undefined])
})

test('own writes: all answered → reads travel with reads again', async () => {
  const { kv, node } = await connectedHarness()
  await kv.set('a', 1)
  await kv.get('a')
  expect(node.batches.at(-1)!.kind).toBe('reads')
})

test('own writes: count and list of a shard with unanswered writes → see them', async () => {
  const { kv } = await connectedHarness({ shards: 4 })
  const write = kv.set('a', 1)
  const count = kv.count()
  const list = kv.keys().toArray()
  expect(await Promise.all([count, list, write])).toMatchObject([1, ['a'], { ok: true }])
})

test('own writes: a clear is under way → reads of any key go behind it', async () => {
  const { kv, node } = await connectedHarness({ shards: 1 })
  await kv.set('a', 1)
  const cleared = kv.clear({ all: true })
  const read = kv.get('a')
  expect(await Promise.all([cleared, read])).toEqual([1, undefined])
  expect(node.batches.at(-1)!.calls.map(({ type }) => type)).toEqual(['clear', 'get'])
})

test('own writes: before the first connection → order and sight hold as well', async () => {
  const fresh = harness({ shards: 8, children: 2 })
  const results = await Promise.all([
    fresh.kv.set('a', 1),
    fresh.kv.get('a'),
    fresh.kv.set('a', 2),
    fresh.kv.get('a'),
  ])
  expect(results).toEqual([{ ok: true, version: 1 }, 1, { ok: true, version: 2 }, 2])
})
