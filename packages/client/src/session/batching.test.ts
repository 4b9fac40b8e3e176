import { describe, expect, test } from 'vitest'
import { connectedHarness, harness, settle } from '../testing/harness.js'
import { PATIENCE_MS } from './outbox.js'

test('batching: calls of one turn to one child → one message of reads, one of writes', async () => {
  const { kv, node } = await connectedHarness()
  const calls = [kv.get('a'), kv.set('b', 1), kv.has('c'), kv.delete('d'), kv.getEntry('e')]
  expect(await Promise.all(calls)).toEqual([
    undefined,
    { ok: true, version: 1 },
    false,
    false,
    undefined,
  ])
  expect(node.batches.map(({ kind, calls }) => [kind, calls.map(({ type }) => type)])).toEqual([
    ['reads', ['get', 'has', 'entry']],
    ['writes', ['set', 'delete']],
  ])
})

test('batching: shards on two children → one message for each child and kind', async () => {
  const { kv, node } = await connectedHarness({ shards: 16, children: 2 })
  const keys = Array.from({ length: 64 }, (_, index) => `key-${index}`)
  await Promise.all([kv.getMany(keys), ...keys.map((key) => kv.get(key))])
  expect(node.batches.map(({ batch }) => batch.child)).toEqual(expect.arrayContaining([1, 2]))
  expect(node.batches).toHaveLength(2)
  expect(node.batches.flatMap(({ calls }) => calls)).toHaveLength(128)
})

test('batching: the next turn → a message of its own', async () => {
  const { kv, node } = await connectedHarness()
  await kv.get('a')
  await kv.get('b')
  expect(node.batches).toHaveLength(2)
  expect(node.batches[1]!.batch.id).toBeGreaterThan(node.batches[0]!.batch.id)
})

test('batching: a turn larger than a batch may be → several messages, all answered', async () => {
  const { kv, node } = await connectedHarness()
  const value = 'x'.repeat(10_000)
  const writes = Array.from({ length: 100 }, (_, index) => kv.set(`key-${index}`, value))
  expect(await Promise.all(writes)).toHaveLength(100)
  expect(node.batches.length).toBeGreaterThan(5)
  expect(node.batches.length).toBeLessThan(10)
})

test('batching: calls before the first connection → wait, then travel together', async () => {
  const { kv, node } = harness({ shards: 8, children: 2 })
  expect(kv.status).toBe('idle')
  const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)
  await Promise.all(keys.map((key) => kv.set(key, key)))
  expect(kv.status).toBe('ready')
  expect(node.batches).toHaveLength(2)
  expect(await kv.getMany(keys)).toEqual(keys)
})

test('batching: writes → consecutive sequence numbers over batches, from 1', async () => {
  const { kv, node } = await connectedHarness()
  await Promise.all([kv.set('a', 1), kv.set('b', 2), kv.delete('c')])
  await kv.set('a', 3)
  const writes = node.batches.filter(({ kind }) => kind === 'writes')
  expect(writes.map(({ sequences }) => sequences)).toEqual([[1, 2, 3], [4]])
  expect(writes.map(({ lowWater }) => lowWater)).toEqual([0, 3])
})

test('low-water mark: a write without an answer → holds the mark below it', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const slow = kv.set('slow', 1)
  await settle()
  const [held] = node.batches
  const fast = [kv.set('fast', 1), kv.set('fast', 2)]
  await settle()
  clock.advance(PATIENCE_MS)
  node.answerPart(node.batches[1]!, [0, 1], true)
  await Promise.all(fast)
  const next = kv.set('fast', 3)
  await settle()
  clock.advance(PATIENCE_MS)
  expect(node.batches[2]!.lowWater).toBe(0)
  node.answerPart(held!, [0], true)
  await slow
  const last = kv.set('fast', 4)
  await settle()
  clock.advance(PATIENCE_MS)
  expect(node.batches[3]!.lowWater).toBe(3)
  node.answerPart(node.batches[2]!, [0], true)
  node.answerPart(node.batches[3]!, [0], true)
  await Promise.all([next, last])
})

test('envelope: topology version and the longest remaining time of its calls', async () => {
  const { kv, node } = await connectedHarness()
  await Promise.all([kv.get('a', { timeout: 50 }), kv.get('b', { timeout: 700 })])
  expect(node.batches[0]!.batch).toMatchObject({ topologyVersion: 1, remainingMs: 700 })
})

test('parts: answers in several replies, out of order → each settles with its part', async () => {
  const { kv, node } = await connectedHarness()
  node.isHolding = true
  const first = kv.set('a', 1)
  const second = kv.set('b', 2)
  await settle()
  node.answerPart(node.batches[0]!, [1], false)
  expect(await second).toEqual({ ok: true, version: 1 })
  node.answerPart(node.batches[0]!, [0], true)
  expect(await first).toEqual({ ok: true, version: 2 })
})

test('values: what is handed out → fresh, not a view of a message', async () => {
  const { kv } = await connectedHarness()
  await kv.set('bytes', Uint8Array.of(1, 2, 3))
  const first = await kv.get<Uint8Array>('bytes')
  first![0] = 9
  expect(await kv.get('bytes')).toEqual(Uint8Array.of(1, 2, 3))
  expect(first!.buffer.byteLength).toBe(3)
})

describe('a small batch', () => {
  test('waits while another is under way to its child, and gathers calls', async () => {
    const { kv, node } = await connectedHarness({ children: 1 })
    node.isHolding = true
    const reads = [kv.get('a')]
    await settle()
    for (const key of ['b', 'c', 'd']) {
      reads.push(kv.get(key))
      await settle()
    }
    expect(node.batches.map(({ calls }) => calls.length)).toEqual([1])
    node.answerHeld()
    await Promise.all(reads)
    expect(node.batches.map(({ calls }) => calls.length)).toEqual([1, 3])
  })

  test('waits for 5 ms at most: one stuck batch holds up nothing else', async () => {
    const { kv, node, clock } = await connectedHarness({ children: 1 })
    node.isHolding = true
    const stuck = kv.get('a')
    await settle()
    const other = kv.get('b')
    await settle()
    expect(node.batches).toHaveLength(1)
    clock.advance(PATIENCE_MS)
    expect(node.batches).toHaveLength(2)
    node.answerHeld()
    await Promise.all([stuck, other])
  })

  test('waits for none of the other kind, nor of another child', async () => {
    const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
    node.isHolding = true
    const calls = [kv.get('a'), kv.get('b'), kv.get('c'), kv.get('d')]
    await settle()
    const children = new Set(node.batches.map(({ batch }) => batch.child))
    expect(children.size).toBe(2)
    calls.push(kv.set('e', 1) as Promise<never>)
    await settle()
    expect(node.batches.map(({ kind }) => kind)).toEqual(['reads', 'reads', 'writes'])
    node.answerHeld()
    await Promise.all(calls)
  })

  test('a large one does not wait', async () => {
    const { kv, node } = await connectedHarness({ children: 1 })
    node.isHolding = true
    const one = kv.get('a')
    await settle()
    const many = Array.from({ length: 16 }, (_, index) => kv.get(`key/${index}`))
    await settle()
    expect(node.batches.map(({ calls }) => calls.length)).toEqual([1, 16])
    node.answerHeld()
    await Promise.all([one, ...many])
  })
})
