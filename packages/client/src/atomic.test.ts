import type { KvError } from '@kv/protocol'
import { routeHash } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { connectedHarness, harness, outcomeOf, settle } from './testing/harness.js'

/** Two keys in different shards of two. */
const APART = (() => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const of = (bit: number): string => names.find((name) => (routeHash(name) & 1) === bit) ?? ''
  return [of(0), of(1)] as const
})()

describe('atomic: what is sent', () => {
  test('nothing before commit; then one call, with the values as they were', async () => {
    const { kv, node } = await connectedHarness()
    const value = { list: [1] }
    const batch = kv.atomic().set('{t}a', value).delete('{t}b')
    value.list.push(2)
    await settle()
    expect(node.batches).toEqual([])
    await batch.commit()
    expect(node.batches.map(({ calls }) => calls.map(({ type }) => type))).toEqual([['atomic']])
    expect(await kv.get('{t}a')).toEqual({ list: [1] })
  })

  test('all checks hold → version, and a result for each operation', async () => {
    const { kv } = await connectedHarness()
    const { version } = await kv.set('{t}a', 'x')
    const result = await kv
      .atomic()
      .check('{t}a', version)
      .set('{t}b', 'y')
      .delete('{t}a')
      .delete('{t}c')
      .touch('{t}b', null)
      .increment('{t}n', 4, { ttl: 60_000 })
      .commit()
    const ended = version + 1
    expect(result).toEqual({
      ok: true,
      version: ended,
      results: [
        true,
        { ok: true, version: ended },
        true,
        false,
        true,
        { value: 4, version: ended, expiresAt: 60_000 },
      ],
    })
  })

  test('checks fail → the keys, and what stands there', async () => {
    const { kv } = await connectedHarness()
    await kv.set('{t}a', 'x')
    const current = await kv.getEntry('{t}a')
    const batch = kv.atomic().check('{t}a', null).check('{t}b', 7).set('{t}a', 'y')
    expect(await batch.commit()).toEqual({
      ok: false,
      failed: [
        { key: '{t}a', current },
        { key: '{t}b', current: undefined },
      ],
    })
  })

  test('entries that the answer has no room for → are asked for', async () => {
    const { kv, node } = await connectedHarness()
    node.store.leavesOutConflicts = true
    await kv.set('{t}a', 'x')
    const result = await kv.atomic().check('{t}a', null).check('{t}b', 7).commit()
    expect(result).toMatchObject({
      failed: [
        { key: '{t}a', current: { value: 'x' } },
        { key: '{t}b', current: undefined },
      ],
    })
  })

  test('calls around it → in the order they were made, and reads of its keys after it', async () => {
    const { kv, node } = await connectedHarness({ shards: 1 })
    node.isHolding = true
    const calls = [
      kv.set('b', 1),
      kv.atomic().set('b', 2).set('c', 2).commit(),
      kv.get('c'),
      kv.get('other'),
    ]
    await settle()
    expect(
      node.batches.map(({ kind, calls: made }) => [kind, made.map(({ type }) => type)]),
    ).toEqual([
      ['reads', ['get']],
      ['writes', ['set', 'atomic', 'get']],
    ])
    node.answerHeld()
    expect((await Promise.all(calls))[2]).toBe(2)
    const later = kv.get('c')
    await later
    expect(node.batches.at(-1)?.kind).toBe('reads')
  })

  test('before the first connection → waits in its place, behind earlier writes', async () => {
    const { kv } = harness()
    const results = [kv.set('{t}a', 1), kv.atomic().increment('{t}a').commit(), kv.get('{t}a')]
    expect((await Promise.all(results))[2]).toBe(2)
  })
})

describe('atomic: mistakes are rejections of commit', () => {
  test.each<[string, (batch: Record<string, (...args: unknown[]) => unknown>) => void]>([
    ['a key that is no text', (batch) => batch['delete']!(5)],
    ['no version', (batch) => batch['check']!('a')],
    ['version 0', (batch) => batch['check']!('a', 0)],
    ['a function as value', (batch) => batch['set']!('a', () => 1)],
    ['no value', (batch) => batch['set']!('a')],
    ['two expiries', (batch) => batch['set']!('a', 1, { ttl: 1, expiresAt: 1 })],
    ['ifVersion', (batch) => batch['set']!('a', 1, { ifVersion: null })],
    ['options that are none', (batch) => batch['set']!('a', 1, null)],
    ['ttl 0', (batch) => batch['touch']!('a', 0)],
    ['no ttl', (batch) => batch['touch']!('a')],
    ['increment by text', (batch) => batch['increment']!('a', '1')],
    ['nothing at all', () => undefined],
  ])('%s → TypeError, nothing sent', async (_, mistake) => {
    const { kv, node } = await connectedHarness()
    const batch = kv.atomic()
    mistake(batch as never)
    await expect(batch.commit()).rejects.toThrow(TypeError)
    await settle()
    expect(node.batches).toEqual([])
  })

  test('an illegal key, and more mistakes behind it → the first is told', async () => {
    const { kv } = await connectedHarness()
    const batch = kv.atomic().set('a', 1).delete('').check('a', -1)
    await expect(batch.commit()).rejects.toMatchObject({ code: 'INVALID_KEY' })
  })

  test('committed twice, also with more operations → TypeError; the first is not touched', async () => {
    const { kv } = await connectedHarness()
    const batch = kv.atomic().set('{t}a', 1)
    const first = batch.commit()
    await expect(batch.set('{t}b', 2).commit()).rejects.toThrow(TypeError)
    expect(await first).toMatchObject({ ok: true })
    expect(await kv.has('{t}b')).toBe(false)
  })

  test('keys of two shards → CROSS_SHARD before anything is sent, with both keys', async () => {
    const { kv, node } = await connectedHarness({ shards: 2 })
    const [home, other] = APART
    const failure = kv.atomic().check(home, null).set(other, 1).commit()
    await expect(failure).rejects.toMatchObject({ code: 'CROSS_SHARD', outcome: 'not-applied' })
    const message = await failure.catch((error: KvError) => error.message)
    expect(message).toContain(`"${home}", "${other}"`)
    expect(message).toContain('{tag}')
    expect(node.batches).toEqual([])
  })

  test('P7: more operations than it takes → BATCH_TOO_LARGE', async () => {
    const { kv, node } = await connectedHarness()
    const batch = kv.atomic()
    for (let index = 0; index < 1_000; index += 1) batch.increment('{t}n')
    await expect(batch.delete('{t}n').commit()).rejects.toMatchObject({ code: 'BATCH_TOO_LARGE' })
    expect(node.batches).toEqual([])
  })

  test('P7: more bytes than it takes → BATCH_TOO_LARGE; one value of the largest size fits', async () => {
    const { kv } = await connectedHarness({ limits: { valueBytesMax: 100_000 } })
    const value = new Uint8Array(99_990)
    expect(await kv.atomic().set('{t}a', value).check('{t}a', null).commit()).toMatchObject({
      ok: true,
    })
    const twice = kv.atomic().set('{t}a', value).set('{t}b', value)
    await expect(twice.commit()).rejects.toMatchObject({ code: 'BATCH_TOO_LARGE' })
    const large = kv.atomic().set('{t}a', new Uint8Array(100_001))
    await expect(large.commit()).rejects.toMatchObject({ code: 'VALUE_TOO_LARGE' })
  })

  test('an abort or a timeout → as for any write', async () => {
    const { kv, node, clock } = await connectedHarness()
    node.isHolding = true
    const aborted = kv
      .atomic()
      .set('a', 1)
      .commit({ signal: AbortSignal.abort(new Error('no')) })
    await expect(aborted).rejects.toThrow('no')
    const slow = kv.atomic().set('a', 1).commit({ timeout: 50 })
    const outcome = outcomeOf(slow)
    await settle()
    clock.advance(50)
    expect(await outcome).toBe('pending')
    await expect(slow).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
  })
})
