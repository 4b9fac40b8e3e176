import { expect, test } from 'vitest'
import { connectedHarness, harness, outcomeOf, settle } from '../testing/harness.js'

test('deadline: no answer → reads TIMEOUT not applied, writes TIMEOUT unknown', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const read = kv.get('a')
  const write = kv.set('b', 1)
  await settle()
  clock.advance(9_999)
  expect(await outcomeOf(read)).toBe('pending')
  clock.advance(1)
  expect(await outcomeOf(read)).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
  expect(await outcomeOf(write)).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
})

test('deadline: of the call alone → others of its batch go on', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const quick = kv.get('a', { timeout: 20 })
  const slow = kv.get('b')
  await settle()
  clock.advance(20)
  expect(await outcomeOf(quick)).toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringContaining('"a"'),
  })
  node.answerHeld()
  expect(await slow).toBeUndefined()
})

test('deadline: no connection → TIMEOUT not applied, with the reason', async () => {
  const { kv, node, clock } = harness({ timeout: 100 })
  node.isUp = false
  const write = kv.set('a', 1)
  await settle()
  clock.advance(100)
  expect(await outcomeOf(write)).toMatchObject({
    code: 'TIMEOUT',
    outcome: 'not-applied',
    message: expect.stringContaining('nobody listens'),
  })
})

test('deadline: passed while a write waits for its shard → it is never sent', async () => {
  const { kv, node, clock } = await connectedHarness({ shards: 1 })
  node.orphan(0)
  await settle()
  const write = kv.set('a', 1, { timeout: 50 })
  const later = kv.set('b', 2)
  await settle()
  clock.advance(50)
  expect(await outcomeOf(write)).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
  node.move({ 0: 1 })
  await later
  expect(node.batches.flatMap(({ calls }) => calls)).toMatchObject([{ type: 'set', key: 'b' }])
})

test('deadline: a late answer → is dropped, the client goes on', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const read = kv.get('a', { timeout: 10 })
  await settle()
  clock.advance(10)
  expect(await outcomeOf(read)).toMatchObject({ code: 'TIMEOUT' })
  node.answerHeld()
  expect(await kv.get('b')).toBeUndefined()
  expect(kv.status).toBe('ready')
})

test('deadline: thousands of calls → one timer', async () => {
  const { kv, node, clock } = await connectedHarness()
  await kv.get('a')
  const before = clock.timerCount
  node.isHolding = true
  const reads = Array.from({ length: 5_000 }, (_, index) => kv.get(`key-${index}`))
  await settle()
  expect(clock.timerCount).toBe(before)
  node.answerHeld()
  await Promise.all(reads)
})

test.each([0, -1, Number.NaN, Infinity, 2 ** 31, '5', null])(
  'timeout: %s → TypeError as a rejection, nothing sent',
  async (timeout) => {
    const { kv, node } = await connectedHarness()
    await expect(kv.get('a', { timeout: timeout as number })).rejects.toBeInstanceOf(TypeError)
    expect(node.batches).toHaveLength(0)
  },
)

test('signal: aborted before → rejects with its reason, nothing sent', async () => {
  const { kv, node } = await connectedHarness()
  const reason = new Error('not needed')
  const signal = AbortSignal.abort(reason)
  await expect(kv.get('a', { signal })).rejects.toBe(reason)
  await expect(kv.getMany(['a'], { signal })).rejects.toBe(reason)
  await expect(kv.list({ signal }).toArray()).rejects.toBe(reason)
  await expect(kv.update('a', () => 1, { signal })).rejects.toBe(reason)
  expect(node.batches).toHaveLength(0)
})

test('signal: aborted after it was sent → rejects at once, the late answer is dropped', async () => {
  const { kv, node } = await connectedHarness()
  node.isHolding = true
  const controller = new AbortController()
  const write = kv.set('a', 1, { signal: controller.signal })
  await settle()
  const reason = new Error('not needed')
  controller.abort(reason)
  expect(await outcomeOf(write)).toBe(reason)
  // The write may still be applied, so a later read goes behind it.
  const read = kv.get('a')
  await settle()
  expect(node.batches.at(-1)!.kind).toBe('writes')
  node.answerHeld()
  expect(await read).toBe(1)
})

test('signal: aborted before the turn ends → not sent', async () => {
  const { kv, node } = await connectedHarness()
  const controller = new AbortController()
  const { signal } = controller
  const calls = [kv.set('a', 1, { signal }), kv.setMany([['b', 1]], { signal }), kv.set('c', 1)]
  controller.abort()
  expect(await outcomeOf(calls[0]!)).toMatchObject({ name: 'AbortError' })
  expect(await outcomeOf(calls[1]!)).toMatchObject({ name: 'AbortError' })
  await calls[2]
  expect(node.batches.flatMap(({ calls }) => calls)).toMatchObject([{ key: 'c' }])
})

test('signal: a settled call → takes its listener off', async () => {
  const { kv } = await connectedHarness()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = ((type: string, listener: () => void) => {
    listeners += 1
    add(type, listener)
  }) as typeof add
  signal.removeEventListener = ((type: string, listener: () => void) => {
    listeners -= 1
    remove(type, listener)
  }) as typeof remove
  await kv.get('a', { signal })
  await kv.getMany(['a', 'b'], { signal })
  await kv.update('a', () => 1, { signal })
  await settle()
  expect(listeners).toBe(0)
})
