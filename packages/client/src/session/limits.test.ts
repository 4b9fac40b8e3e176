import { expect, test } from 'vitest'
import { connectedHarness, harness, outcomeOf, settle } from '../testing/harness.js'

test('queue: more calls than it takes → OVERLOADED at once, not applied', async () => {
  const { kv, node } = harness({ queueCallsMax: 2 })
  node.isUp = false
  const kept = [kv.get('a'), kv.get('b')]
  await expect(kv.set('c', 1)).rejects.toMatchObject({
    code: 'OVERLOADED',
    outcome: 'not-applied',
    retryable: true,
  })
  for (const call of kept) expect(await outcomeOf(call)).toBe('pending')
})

test('queue: more bytes than it takes → OVERLOADED; room comes back as calls are sent', async () => {
  const { kv } = await connectedHarness({ queueBytesMax: 1_000 })
  const value = 'x'.repeat(1_000)
  const first = kv.set('a', value)
  await expect(kv.set('b', value)).rejects.toMatchObject({ code: 'OVERLOADED' })
  await first
  await kv.set('b', value)
})

test('queue: calls that time out or are aborted unsent → give their room back', async () => {
  const { kv, node, clock } = await connectedHarness({ shards: 1, queueCallsMax: 100 })
  node.orphan(0)
  await settle()
  const controller = new AbortController()
  for (let round = 0; round < 20; round += 1) {
    const { signal } = round % 2 === 0 ? controller : new AbortController()
    const calls = Array.from({ length: 100 }, () => kv.get('a', { signal, timeout: 10 }))
    const outcomes = Promise.allSettled(calls)
    await settle()
    if (round === 10) controller.abort()
    clock.advance(10)
    for (const { status } of await outcomes) expect(status).toBe('rejected')
    if (round === 10) break
  }
})

test('window: batches beyond the announced bytes → wait in order for answers', async () => {
  const { kv, node } = await connectedHarness({ limits: { inFlightBytesMax: 100 } })
  node.isHolding = true
  const value = 'x'.repeat(60)
  const writes = [kv.set('a', value)]
  await settle()
  for (const key of ['b', 'c', 'd']) {
    writes.push(kv.set(key, value))
    await settle()
  }
  expect(node.batches).toHaveLength(1)
  node.answerHeld()
  await Promise.all(writes)
  expect(node.batches.map(({ calls }) => calls.length)).toEqual([1, 3])
  expect(node.batches[1]!.sequences).toEqual([2, 3, 4])
})

test('value: over the announced size → VALUE_TOO_LARGE, not applied, nothing sent', async () => {
  const { kv, node } = await connectedHarness({ limits: { valueBytesMax: 100 } })
  await expect(kv.set('a', 'x'.repeat(200))).rejects.toMatchObject({
    code: 'VALUE_TOO_LARGE',
    outcome: 'not-applied',
    message: expect.stringContaining('"a"'),
  })
  await expect(kv.set('a', 'x'.repeat(2_000_000))).rejects.toMatchObject({
    code: 'VALUE_TOO_LARGE',
  })
  expect(node.batches).toHaveLength(0)
  await kv.set('a', 'x'.repeat(90))
})

test('message: large values → never one larger than the node announces', async () => {
  const limits = { valueBytesMax: 20_000, messageBytesMax: 40_000 }
  const { kv, node } = await connectedHarness({ limits })
  const value = 'x'.repeat(19_000)
  await Promise.all(Array.from({ length: 20 }, (_, index) => kv.set(`key-${index}`, value)))
  for (const { batch } of node.batches) expect(batch.body.length).toBeLessThan(40_000)
})

test('getMany and setMany: more than the queue takes at once → in slices, all answered', async () => {
  const { kv } = await connectedHarness({ queueCallsMax: 5_000 })
  const keys = Array.from({ length: 12_000 }, (_, index) => `key-${index}`)
  const written = await kv.setMany(keys.map((key) => [key, key]))
  expect(written).toHaveLength(12_000)
  expect(await kv.getMany(keys)).toEqual(keys)
})
