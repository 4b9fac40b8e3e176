import { ERROR_RULES, KvError } from '@kv/protocol'
import { expect, test } from 'vitest'
import { connectedHarness, harness, outcomeOf, settle } from './testing/harness.js'

/** What no type checker would let pass. */
type Loose = Record<string, (...args: readonly unknown[]) => Promise<unknown>>

test('set: with ifVersion → written, or refused with what stands there', async () => {
  const { kv } = await connectedHarness()
  expect(await kv.set('a', 'one', { ifVersion: null })).toEqual({ ok: true, version: 1 })
  expect(await kv.set('a', 'two', { ifVersion: null })).toEqual({
    ok: false,
    current: { key: 'a', value: 'one', version: 1 },
  })
  expect(await kv.set('a', 'two', { ifVersion: 1 })).toEqual({ ok: true, version: 2 })
  expect(await kv.set('b', 1, { ifVersion: 7 })).toEqual({ ok: false, current: undefined })
})

test('set: expiry options → travel, and come back with the entry', async () => {
  const { kv, node } = await connectedHarness()
  await kv.set('a', 1, { ttl: 1_000.2 })
  await kv.set('b', 1, { expiresAt: 5_000 })
  await kv.set('b', 2, { keepTtl: true })
  await kv.set('c', 1, { ttl: undefined, expiresAt: undefined, keepTtl: undefined })
  const expiries = node.batches.flatMap(({ calls }) =>
    calls.map((call) => call.type === 'set' && call.expiry),
  )
  expect(expiries).toEqual([
    { kind: 'ttl', ms: 1_001 },
    { kind: 'at', ms: 5_000 },
    { kind: 'keep' },
    { kind: 'none' },
  ])
  expect(await kv.getEntry('b')).toEqual({ key: 'b', value: 2, version: 3, expiresAt: 5_000 })
  expect(await kv.getEntry('c')).toEqual({ key: 'c', value: 1, version: 4 })
})

test('delete, deleteIf, touch, has → as they say', async () => {
  const { kv } = await connectedHarness()
  await kv.setMany([
    ['a', 1],
    ['b', 2],
  ])
  expect(await kv.delete('a')).toBe(true)
  expect(await kv.delete('a')).toBe(false)
  expect(await kv.deleteIf('a', 1)).toEqual({ ok: false, current: undefined })
  expect(await kv.deleteIf('b', 1)).toEqual({
    ok: false,
    current: { key: 'b', value: 2, version: 2 },
  })
  expect(await kv.touch('b', 500)).toBe(true)
  expect((await kv.getEntry('b'))?.expiresAt).toBe(500)
  expect(await kv.touch('b', null)).toBe(true)
  expect(await kv.getEntry('b')).not.toHaveProperty('expiresAt')
  expect(await kv.touch('x', 500)).toBe(false)
  expect(await kv.deleteIf('b', 2)).toEqual({ ok: true })
  expect(await kv.hasMany(['a', 'b'])).toEqual([false, false])
})

test('increment: by, ttl and bounds → travel; the counter comes back', async () => {
  const { kv, node } = await connectedHarness()
  expect(await kv.increment('n')).toEqual({ value: 1, version: 1 })
  expect(await kv.increment('n', 4, { ttl: 9, min: 0, max: 10 })).toEqual({
    value: 5,
    version: 2,
    expiresAt: 9,
  })
  expect(node.batches[1]!.calls[0]).toEqual({
    type: 'increment',
    key: 'n',
    by: 4,
    ttlMs: 9,
    min: 0,
    max: 10,
  })
})

test('a fault of the node → KvError with code, outcome, key and text', async () => {
  const { kv, node } = await connectedHarness()
  node.faultOf = () => ({
    code: ERROR_RULES.OUT_OF_RANGE.wire,
    outcome: 'not-applied',
    message: 'above max',
  })
  await expect(kv.increment('n')).rejects.toMatchObject({
    name: 'KvError',
    code: 'OUT_OF_RANGE',
    retryable: false,
    outcome: 'not-applied',
    message: 'increment of "n": above max',
  })
})

const kvErrors: [string, unknown][] = [
  ['empty', ''],
  ['too long', 'x'.repeat(2_049)],
  ['a lone surrogate', '\udc00'],
]

test.each(kvErrors)('key %s → INVALID_KEY as a rejection', async (_, key) => {
  const { kv, node } = await connectedHarness()
  const invalid = { code: 'INVALID_KEY', outcome: 'not-applied' }
  const bad = key as string
  await expect(kv.get(bad)).rejects.toMatchObject(invalid)
  await expect(kv.set(bad, 1)).rejects.toMatchObject(invalid)
  await expect(kv.getMany(['a', bad])).rejects.toMatchObject(invalid)
  await expect(kv.update(bad, () => 1)).rejects.toMatchObject(invalid)
  expect(node.batches).toHaveLength(0)
})

test('wrong types → TypeError as a rejection, nothing sent', async () => {
  const { kv, node } = await connectedHarness()
  const bad = (value: unknown): never => value as never
  const results = await Promise.allSettled([
    kv.get(bad(5)),
    kv.get(bad(undefined)),
    kv.get('a', bad('options')),
    kv.getMany(bad('abc')),
    kv.getMany(bad([1])),
    kv.set('a', undefined),
    kv.set('a', () => 1),
    kv.set('a', Symbol('s')),
    kv.set('a', 1, bad({ ifVersion: undefined })),
    kv.set('a', 1, bad({ ifVersion: 0 })),
    kv.set('a', 1, bad({ ifVersion: '1' })),
    kv.set('a', 1, bad({ ttl: 5, keepTtl: true })),
    kv.set('a', 1, bad({ ttl: 5, expiresAt: 5 })),
    kv.set('a', 1, { ttl: 0 }),
    kv.set('a', 1, { ttl: Infinity }),
    kv.set('a', 1, bad({ ttl: '5' })),
    kv.set('a', 1, bad({ expiresAt: new Date() })),
    kv.setMany(bad(5)),
    kv.setMany(bad([['a', 1], 'b'])),
    kv.setMany([
      ['a', 1],
      ['b', undefined],
    ]),
    kv.deleteIf('a', bad('1')),
    kv.touch('a', bad(undefined)),
    kv.touch('a', -1),
    kv.increment('a', Number.NaN),
    kv.increment('a', bad('1')),
    kv.increment('a', 1, { min: Number.NaN }),
    kv.update('a', bad(undefined)),
    kv.update('a', () => 1, { retries: -1 }),
    kv.count(bad({ prefix: 1 })),
  ])
  for (const result of results) expect(result).toMatchObject({ reason: expect.any(TypeError) })
  expect(node.batches).toHaveLength(0)
})

test.each<[string, (kv: Loose) => Promise<unknown>]>([
  [
    'set of "a": there is no option "tll": did you mean ttl?',
    (kv) => kv['set']!('a', 1, { tll: 5 }),
  ],
  [
    'set of "a": there is no option "ex": there are signal, timeout, ttl, expiresAt, keepTtl, ifVersion',
    (kv) => kv['set']!('a', 1, { ex: 5 }),
  ],
  [
    'set of "a": there is no option "expireAt": did you mean expiresAt?',
    (kv) => kv['set']!('a', 1, { expireAt: 5 }),
  ],
  [
    'get of "a": there is no option "timeuot": did you mean timeout?',
    (kv) => kv['get']!('a', { timeuot: 5 }),
  ],
  ['get of "a": there is no option "ttl"', (kv) => kv['get']!('a', { ttl: 5 })],
  ['get of "a": consistency is', (kv) => kv['get']!('a', { consistency: 'some' })],
  ['getEntry: a key is a string, not number', (kv) => kv['getEntry']!(5)],
  ['getMany: keys is an array of keys', (kv) => kv['getMany']!('a')],
  [
    'set of "a": ttl is a finite number of milliseconds above 0',
    (kv) => kv['set']!('a', 1, { ttl: -1 }),
  ],
  ['set of "a": undefined is not a value', (kv) => kv['set']!('a')],
  [
    'setMany: the entry of "b": undefined is not a value',
    (kv) =>
      kv['setMany']!([
        ['a', 1],
        ['b', undefined],
      ]),
  ],
  ['setMany: there is no option "tl"', (kv) => kv['setMany']!([{ key: 'a', value: 1, tl: 5 }])],
  ['update of "a": ', (kv) => kv['update']!('a', () => () => 1)],
  ['touch of "a": ttl is', (kv) => kv['touch']!('a', 0)],
  ['increment of "a": by is', (kv) => kv['increment']!('a', 'x')],
  ['count: there is no option "limit"', (kv) => kv['count']!({ limit: 5 })],
  ['clear: give it', (kv) => kv['clear']!({})],
  ['connect: there is no option "timout"', (kv) => kv['connect']!({ timout: 5 })],
])('a mistake → %s', async (message, make) => {
  const { kv } = harness()
  await kv.connect()
  const error = await outcomeOf(make(kv as unknown as Loose))
  expect(error).toBeInstanceOf(TypeError)
  expect((error as Error).message.slice(0, message.length)).toBe(message)
})

test('an unknown option that is undefined counts as absent', async () => {
  const { kv } = await connectedHarness()
  await (kv as unknown as Loose)['set']!('a', 1, { tll: undefined, consistency: undefined })
  expect(await kv.get('a', { consistency: 'replica' })).toBe(1)
})

test('setMany: pairs, objects and a Map → all written, in order', async () => {
  const { kv } = await connectedHarness({ shards: 16, children: 2 })
  expect(await kv.setMany([])).toEqual([])
  expect(await kv.setMany(new Map([['a', 1]]))).toEqual([{ ok: true, version: 1 }])
  await kv.setMany([
    ['b', 2],
    { key: 'c', value: 3, ttl: 50 },
    { key: 'd', value: 4, ttl: undefined },
  ])
  expect(await kv.getMany(['d', 'c', 'b', 'a', 'x'])).toEqual([4, 3, 2, 1, undefined])
  expect(await kv.getEntries(['c', 'x'])).toMatchObject([{ expiresAt: 50 }, undefined])
})

test('setMany: some fail → the others are written, the error holds what became of each', async () => {
  const { kv, node } = await connectedHarness()
  node.faultOf = (call) =>
    call.type === 'set' && call.key === 'bad'
      ? { code: ERROR_RULES.NO_SPACE.wire, outcome: 'not-applied', message: 'full' }
      : undefined
  const error = await outcomeOf(
    kv.setMany([
      ['a', 1],
      ['bad', 2],
      ['', 3],
      ['b', 4],
    ]),
  )
  expect(error).toBeInstanceOf(KvError)
  expect(error).toMatchObject({
    code: 'NO_SPACE',
    outcome: 'unknown',
    results: [
      { ok: true, version: 1 },
      { ok: false, error: { code: 'NO_SPACE' } },
      { ok: false, error: { code: 'INVALID_KEY' } },
      { ok: true, version: 2 },
    ],
  })
  expect(await kv.getMany(['a', 'b'])).toEqual([1, 4])
})

test('deleteMany: whether each was there; failures as in setMany', async () => {
  const { kv } = await connectedHarness()
  await kv.set('a', 1)
  expect(await kv.deleteMany(['a', 'b'])).toEqual([true, false])
  await kv.set('a', 1)
  expect(await outcomeOf(kv.deleteMany(['a', '']))).toMatchObject({
    code: 'INVALID_KEY',
    results: [
      { ok: true, deleted: true },
      { ok: false, error: { code: 'INVALID_KEY' } },
    ],
  })
})

test('getMany: one read fails → the whole fails with its error', async () => {
  const { kv, node } = await connectedHarness()
  node.faultOf = (call) =>
    'key' in call && call.key === 'bad'
      ? { code: ERROR_RULES.FORBIDDEN.wire, outcome: 'not-applied', message: 'no' }
      : undefined
  await expect(kv.getMany(['a', 'bad'])).rejects.toMatchObject({ code: 'FORBIDDEN' })
})

test('value: a getter that makes calls itself → both values are whole', async () => {
  const { kv } = await connectedHarness()
  const inner: Promise<unknown>[] = []
  const value = {
    before: 'x'.repeat(50),
    get nested() {
      inner.push(kv.set('inner', { deep: [1, 2, 3] }))
      return 'outer'
    },
  }
  await kv.set('outer', value)
  await Promise.all(inner)
  expect(await kv.get('outer')).toEqual({ before: 'x'.repeat(50), nested: 'outer' })
  expect(await kv.get('inner')).toEqual({ deep: [1, 2, 3] })
})

test('close: open calls → end first; later ones reject as CLOSED', async () => {
  const { kv, node } = await connectedHarness()
  node.isHolding = true
  const write = kv.set('a', 1)
  const closed = kv.close()
  expect(kv.status).toBe('closed')
  await expect(kv.get('a')).rejects.toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
  await expect(kv.getMany(['a'])).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(kv.list().toArray()).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(kv.connect()).rejects.toMatchObject({ code: 'CLOSED' })
  expect(await outcomeOf(closed)).toBe('pending')
  node.answerHeld()
  expect(await write).toEqual({ ok: true, version: 1 })
  await closed
  expect(node.link.closeCode).toBe(1000)
  expect(kv.close()).toBe(kv.close())
})

test('close: no answer within the timeout → the rest rejects as CLOSED', async () => {
  const { kv, node, clock } = await connectedHarness({ timeout: 100 })
  node.isHolding = true
  const write = kv.set('a', 1, { timeout: 60_000 })
  const closed = kv.close()
  await settle()
  clock.advance(100)
  await closed
  expect(await outcomeOf(write)).toMatchObject({ code: 'CLOSED', outcome: 'unknown' })
  expect(clock.timerCount).toBe(0)
})

test('close: never opened → nothing is dialed; `await using` closes', async () => {
  const { kv, node } = harness()
  await kv[Symbol.asyncDispose]()
  expect(kv.status).toBe('closed')
  expect(node.links).toHaveLength(0)
})

test('a listener that throws → disturbs neither the client nor the others', async () => {
  const { kv, clock, node } = await connectedHarness()
  const heard: number[] = []
  const uncaught = new Promise((resolve) => {
    process.once('uncaughtException', resolve)
  })
  const listeners = process.listeners('uncaughtException').slice(0, -1)
  for (const listener of listeners) process.off('uncaughtException', listener)
  kv.on('reconnecting', () => {
    throw new Error('of the listener')
  })
  kv.on('reconnecting', ({ attempt }) => heard.push(attempt))
  node.cut()
  await uncaught
  for (const listener of listeners) process.on('uncaughtException', listener)
  clock.advance(25)
  expect(await kv.get('a')).toBeUndefined()
  expect(heard).toEqual([1])
})
