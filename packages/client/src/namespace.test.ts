import { KvError } from '@kv/protocol'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { expect, test } from 'vitest'
import type { Validator } from './testing/validators.js'
import { ageSchema, schemaOf } from './testing/validators.js'
import { connectedHarness, harness, outcomeOf } from './testing/harness.js'

test('namespace: every call → the full key travels, the short one comes back', async () => {
  const { kv, node } = await connectedHarness()
  const users = kv.namespace('user:')
  await users.set('1', 'Ada')
  expect([...node.store.entries.keys()]).toEqual(['user:1'])
  expect(await kv.get('user:1')).toBe('Ada')
  expect(await users.get('1')).toBe('Ada')
  expect(await users.getEntry('1')).toEqual({ key: '1', value: 'Ada', version: 1 })
  expect(await users.getMany(['1', '2'])).toEqual(['Ada', undefined])
  expect(await users.getEntries(['2', '1'])).toMatchObject([undefined, { key: '1' }])
  expect(await users.has('1')).toBe(true)
  expect(await users.hasMany(['1', '2'])).toEqual([true, false])
  expect(await users.set('1', 'Eve', { ifVersion: null })).toEqual({
    ok: false,
    current: { key: '1', value: 'Ada', version: 1 },
  })
  expect(await users.deleteIf('1', 9)).toMatchObject({ ok: false, current: { key: '1' } })
  expect(await users.update('1', (value, entry) => [value, entry?.key])).toEqual({
    key: '1',
    value: ['Ada', '1'],
    version: 2,
  })
  expect(await users.touch('1', 50)).toBe(true)
  expect(await users.setMany(new Map([['2', 'Bo']]))).toEqual([{ ok: true, version: 3 }])
  expect(await users.increment('n')).toMatchObject({ value: 1 })
  expect(await users.deleteMany(['n', '2'])).toEqual([true, true])
  expect(await users.delete('1')).toBe(true)
  expect(node.store.entries.size).toBe(0)
})

test('namespace: ranges → of its keys only, bounds and cursors without the prefix', async () => {
  const { kv } = await connectedHarness({ shards: 4 })
  await kv.setMany(['a:', 'a:1', 'a:2', 'a:3', 'a;', 'b:1'].map((key) => [key, key]))
  const a = kv.namespace('a:')
  expect(await a.keys().toArray()).toEqual(['1', '2', '3'])
  expect(await a.keys({ reverse: true }).toArray()).toEqual(['3', '2', '1'])
  expect(await a.keys({ gt: '1', lte: '2' }).toArray()).toEqual(['2'])
  expect(await a.keys({ gte: '2', lt: '9' }).toArray()).toEqual(['2', '3'])
  expect(await a.list({ prefix: '3' }).toArray()).toMatchObject([{ key: '3', value: 'a:3' }])
  expect(await a.count()).toBe(3)
  expect(await a.count({ gt: '1' })).toBe(2)
  const page = a.keys({ limit: 2 })
  expect(await page.toArray()).toEqual(['1', '2'])
  const rest = kv.namespace('a:').keys({ cursor: page.cursor })
  expect(await rest.toArray()).toEqual(['3'])
  const pages: string[][] = []
  for await (const keys of a.keys({ pageSize: 2 }).pages()) pages.push(keys)
  expect(pages).toEqual([['1', '2'], ['3']])
})

test('namespace: clear → itself or a part of it, and never what is beside it', async () => {
  const { kv } = await connectedHarness({ shards: 4 })
  const all = ['a:', 'a:1', 'a:2', 'a:31', 'a;', 'b:1', 'b:2']
  await kv.setMany(all.map((key) => [key, 1]))
  const a = kv.namespace('a:')
  expect(await a.clear({ prefix: '3' })).toBe(1)
  expect(await a.clear()).toBe(2)
  expect(await kv.namespace('b:').clear({ all: true })).toBe(2)
  expect(await kv.keys().toArray()).toEqual(['a:', 'a;'])
  const loose = a as unknown as { clear(options: unknown): Promise<unknown> }
  for (const options of [{ prefix: '' }, { prefix: 5 }, { prefix: 'x', all: true }, { al: true }]) {
    expect(await outcomeOf(loose.clear(options))).toBeInstanceOf(TypeError)
  }
})

test('namespace: nested → the prefixes one after the other', async () => {
  const { kv } = await connectedHarness()
  const inner = kv.namespace('a/').namespace('b/')
  await inner.set('c', 1)
  expect(await kv.keys().toArray()).toEqual(['a/b/c'])
  expect(await kv.namespace('a/').keys().toArray()).toEqual(['b/c'])
  expect(await inner.keys().toArray()).toEqual(['c'])
})

test('namespace: limits and wrong keys → as of the whole key, as rejections', async () => {
  const { kv } = await connectedHarness()
  const ns = kv.namespace('x'.repeat(2_000))
  await ns.set('y'.repeat(48), 1)
  const invalid = { code: 'INVALID_KEY' }
  await expect(ns.set('y'.repeat(49), 1)).rejects.toMatchObject(invalid)
  await expect(ns.get('')).rejects.toMatchObject(invalid)
  await expect(ns.get('\ud800')).rejects.toMatchObject(invalid)
  await expect(ns.getMany(['a', ''])).rejects.toMatchObject(invalid)
  expect(await outcomeOf(ns.get(5 as never))).toBeInstanceOf(TypeError)
  expect(await outcomeOf(ns.getMany('ab' as never))).toBeInstanceOf(TypeError)
  expect(await outcomeOf(ns.keys({ gt: null as never }).toArray())).toBeInstanceOf(TypeError)
  expect(await outcomeOf(ns.update('a', 5 as never))).toBeInstanceOf(TypeError)
  expect(await outcomeOf(ns.set('a', 1, { tll: 1 } as never))).toBeInstanceOf(TypeError)
})

test.each<[unknown, unknown, unknown]>([
  ['', undefined, TypeError],
  [5, undefined, TypeError],
  ['x'.repeat(2_049), undefined, KvError],
  ['\ud800', undefined, KvError],
  ['a', { shema: 1 }, TypeError],
  ['a', { schema: 5 }, TypeError],
  ['a', { schema: {} }, TypeError],
  ['a', { validateOnRead: true }, TypeError],
  ['a', 'schema', TypeError],
])('namespace(%j, %j) → throws', (prefix, options, error) => {
  const { kv } = harness()
  expect(() => kv.namespace(prefix as never, options as never)).toThrow(error as never)
})

test('schema: what fits → its output is stored, by every call that writes', async () => {
  const { kv } = await connectedHarness()
  const ages = kv.namespace('age:', { schema: ageSchema })
  await ages.set('a', '41')
  await ages.setMany([['b', '42'], { key: 'c', value: '43', ttl: 9 }])
  await ages.update('a', (age) => String((age ?? 0) + 1))
  await ages.set('d', '44', { ifVersion: null })
  expect(await kv.getMany(['age:a', 'age:b', 'age:c', 'age:d'])).toEqual([42, 42, 43, 44])
  expect(await ages.update('d', () => '45')).toMatchObject({ key: 'd', value: 45 })
  expect(await kv.getEntry('age:c')).toMatchObject({ expiresAt: 9 })
})

test('schema: what does not fit → INVALID_VALUE with issues, nothing sent', async () => {
  const { kv, node } = await connectedHarness()
  const ages = kv.namespace('age:', { schema: ageSchema })
  const error = await outcomeOf(ages.set('a', 'old'))
  expect(error).toBeInstanceOf(KvError)
  expect(error).toMatchObject({
    code: 'INVALID_VALUE',
    outcome: 'not-applied',
    message: 'the value for "a" does not fit the schema: years: no number',
    issues: [{ message: 'no number', path: ['years'] }],
  })
  await expect(ages.update('a', () => 'old')).rejects.toMatchObject({ code: 'INVALID_VALUE' })
  expect(node.batches.flatMap(({ calls }) => calls.map(({ type }) => type))).toEqual(['entry'])
})

test('schema: setMany with one that does not fit → the others are written', async () => {
  const { kv } = await connectedHarness()
  const ages = kv.namespace('age:', { schema: ageSchema })
  const error = await outcomeOf(
    ages.setMany([
      ['a', '1'],
      ['b', 'old'],
      ['c', '3'],
    ]),
  )
  expect(error).toMatchObject({
    code: 'INVALID_VALUE',
    results: [{ ok: true }, { ok: false, error: { code: 'INVALID_VALUE' } }, { ok: true }],
  })
  expect(await kv.getMany(['age:a', 'age:b', 'age:c'])).toEqual([1, undefined, 3])
})

const isNumber: Validator = (value) =>
  typeof value === 'number' ? { value } : { issues: [{ message: 'no number' }] }

test('namespace: an atomic batch → full keys travel, short ones come back', async () => {
  const { kv } = await connectedHarness()
  const inner = kv.namespace('{a}/').namespace('b/')
  expect(await inner.atomic().check('c', null).set('c', 1).increment('n').commit()).toMatchObject({
    ok: true,
  })
  expect(await kv.getMany(['{a}/b/c', '{a}/b/n'])).toEqual([1, 1])
  expect(await inner.atomic().check('c', null).check('d', 9).commit()).toEqual({
    ok: false,
    failed: [
      { key: 'c', current: { key: 'c', value: 1, version: 1 } },
      { key: 'd', current: undefined },
    ],
  })
  await expect(inner.atomic().delete('').commit()).rejects.toMatchObject({ code: 'INVALID_KEY' })
})

test('schema: an atomic batch → its output is stored; what does not fit is told at commit', async () => {
  const { kv, node } = await connectedHarness()
  const ages = kv.namespace('{age}', { schema: ageSchema })
  await ages.atomic().set('a', '41').commit()
  expect(await kv.get('{age}a')).toBe(41)
  const calls = node.batches.length
  const batch = ages.atomic().set('b', '42').set('c', 'old')
  await expect(batch.commit()).rejects.toMatchObject({ code: 'INVALID_VALUE' })
  expect(node.batches).toHaveLength(calls)
})

test('schema: validateOnRead → reads of what does not fit are INVALID_VALUE', async () => {
  const { kv } = await connectedHarness()
  const schema = schemaOf(isNumber)
  await kv.setMany([
    ['n:1', 1],
    ['n:2', 'two'],
  ])
  const unread = kv.namespace('n:', { schema })
  expect(await unread.getMany(['1', '2'])).toEqual([1, 'two'])
  const numbers = kv.namespace('n:', { schema, validateOnRead: true })
  expect(await numbers.get('1')).toBe(1)
  expect(await numbers.get('3')).toBe(undefined)
  const reads = [
    () => numbers.get('2'),
    () => numbers.getEntry('2'),
    () => numbers.getMany(['1', '2']),
    () => numbers.getEntries(['2']),
    () => numbers.list().toArray(),
    () => numbers.update('2', (value) => value),
    () => numbers.set('2', 2, { ifVersion: null }),
  ]
  for (const read of reads) {
    expect(await outcomeOf(read())).toMatchObject({ code: 'INVALID_VALUE', outcome: 'not-applied' })
  }
  expect(await numbers.keys().toArray()).toEqual(['1', '2'])
})

test('schema: asynchronous → TypeError that says so, nothing sent', async () => {
  const { kv, node } = await connectedHarness()
  const schema = schemaOf(() => Promise.reject(new Error('never heard of')))
  const error = await outcomeOf(kv.namespace('a:', { schema }).set('k', 1))
  expect(error).toBeInstanceOf(TypeError)
  expect(error).toMatchObject({ message: expect.stringContaining('synchronously') })
  expect(node.batches).toEqual([])
})

test('schema: nested → the inner one first, then the outer on what it made', async () => {
  const { kv } = await connectedHarness()
  const seen: unknown[] = []
  const noted = (name: string): StandardSchemaV1<string, string> =>
    schemaOf((value) => {
      seen.push([name, value])
      return { value: `${String(value)}-${name}` }
    }) as StandardSchemaV1<string, string>
  const outer = kv.namespace('o:', { schema: noted('outer') })
  await outer.namespace('p:').set('a', 'x')
  await outer.namespace('i:', { schema: noted('inner') }).set('a', 'x')
  expect(seen).toEqual([
    ['outer', 'x'],
    ['inner', 'x'],
    ['outer', 'x-inner'],
  ])
  expect(await kv.get('o:i:a')).toBe('x-inner-outer')
})
