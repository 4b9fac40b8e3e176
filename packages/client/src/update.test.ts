import { expect, test } from 'vitest'
import { connectedHarness, outcomeOf, settle } from './testing/harness.js'

test('update: nobody interferes → read, changed, written once', async () => {
  const { kv, node } = await connectedHarness()
  await kv.set('a', 1, { expiresAt: 5_000 })
  const entry = await kv.update('a', (value) => value + 1)
  expect(entry).toEqual({ key: 'a', value: 2, version: 2, expiresAt: 5_000 })
  expect(await kv.getEntry('a')).toEqual(entry)
  expect(node.batches.at(-2)!.calls[0]).toMatchObject({ ifVersion: 1, expiry: { kind: 'keep' } })
})

test('update: an absent key → fn gets undefined, and it is created', async () => {
  const { kv } = await connectedHarness()
  const seen: unknown[] = []
  await kv.update('a', async (value, entry) => {
    seen.push(value, entry)
    return 'new'
  })
  expect(seen).toEqual([undefined, undefined])
  expect(await kv.get('a')).toBe('new')
})

test('update: fn returns undefined → the key is left, its entry comes back', async () => {
  const { kv, node } = await connectedHarness()
  await kv.set('a', 1)
  expect(await kv.update('a', () => undefined)).toEqual({ key: 'a', value: 1, version: 1 })
  expect(node.batches.filter(({ kind }) => kind === 'writes')).toHaveLength(1)
})

test('update: many at once on one key → all take effect', async () => {
  const { kv, clock } = await connectedHarness()
  const updates = Array.from({ length: 20 }, () => kv.update('n', (value = 0) => value + 1))
  const done = Promise.all(updates)
  for (let turn = 0; turn < 100; turn += 1) {
    await settle()
    clock.advance(50)
  }
  await done
  expect(await kv.get('n')).toBe(20)
})

test('update: out of retries → CONFLICT, not applied', async () => {
  const { kv } = await connectedHarness()
  let runs = 0
  const update = kv.update(
    'a',
    async () => {
      runs += 1
      await kv.set('a', runs)
      return 'mine'
    },
    { retries: 2 },
  )
  await expect(update).rejects.toMatchObject({
    code: 'CONFLICT',
    outcome: 'not-applied',
    retryable: true,
  })
  expect(runs).toBe(3)
})

test('update: told an expiry → it holds, and is that of the entry', async () => {
  const { kv } = await connectedHarness()
  expect(await kv.update('a', () => 1, { ttl: 700 })).toMatchObject({ expiresAt: 700 })
  expect(await kv.update('a', () => 2, { expiresAt: 900 })).toMatchObject({ expiresAt: 900 })
})

test('update: keepTtl false → the expiry is taken away', async () => {
  const { kv } = await connectedHarness()
  await kv.set('a', 1, { expiresAt: 5_000 })
  await kv.update('a', () => 2, { keepTtl: false })
  expect(await kv.getEntry('a')).toEqual({ key: 'a', value: 2, version: 2 })
})

test('update: fn never ends → TIMEOUT by the deadline; fn throws → its error', async () => {
  const { kv, clock } = await connectedHarness()
  const never = kv.update('a', () => new Promise(() => {}), { timeout: 100 })
  await settle()
  clock.advance(100)
  expect(await outcomeOf(never)).toMatchObject({ code: 'TIMEOUT' })
  const error = new Error('of fn')
  const thrown = kv.update('a', () => {
    throw error
  })
  await expect(thrown).rejects.toBe(error)
})

test('update: aborted while fn runs → rejects at once with the reason', async () => {
  const { kv } = await connectedHarness()
  const controller = new AbortController()
  const update = kv.update('a', () => new Promise(() => {}), { signal: controller.signal })
  await settle()
  const reason = new Error('enough')
  controller.abort(reason)
  expect(await outcomeOf(update)).toBe(reason)
})
