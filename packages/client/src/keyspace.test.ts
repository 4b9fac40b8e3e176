/** The inference of the public types: what is wrong here fails the type check, not the run. */
import { expect, expectTypeOf, test } from 'vitest'
import { createClient } from './index.js'
import type { Entry, Keyspace, KvClient, Listing, Refused, Written } from './index.js'

interface User {
  readonly name: string
}

interface Schema {
  [key: `user:${string}`]: User
  [key: `count:${string}`]: number
  config: { readonly theme: string }
}

const kv = createClient<Schema>('kv://127.0.0.1:1')
const untyped = createClient('kv://127.0.0.1:1')

/** Only looked at by the type checker. */
function expectTyped(calls: () => unknown): void {
  expect(calls).toBeTypeOf('function')
}

test('typed client: values by key', () => {
  expectTyped(() => {
    expectTypeOf(kv.get('user:1')).resolves.toEqualTypeOf<User | undefined>()
    expectTypeOf(kv.get('config')).resolves.toEqualTypeOf<{ readonly theme: string } | undefined>()
    expectTypeOf(kv.getEntry('user:1')).resolves.toEqualTypeOf<Entry<'user:1', User> | undefined>()
    expectTypeOf(kv.getMany(['user:1', 'count:2'])).resolves.toEqualTypeOf<
      [User | undefined, number | undefined]
    >()
    expectTypeOf(kv.getEntries(['config'])).resolves.toEqualTypeOf<
      [Entry<'config', { readonly theme: string }> | undefined]
    >()
    expectTypeOf(kv.hasMany(['user:1', 'config'])).resolves.toEqualTypeOf<[boolean, boolean]>()
    // @ts-expect-error no such key
    void kv.get('other')
    // @ts-expect-error a number stands there
    void kv.set('count:1', 'one')
  })
})

test('typed client: a condition → the refusal is part of the result', () => {
  expectTyped(() => {
    expectTypeOf(kv.set('user:1', { name: 'a' })).resolves.toEqualTypeOf<Written>()
    expectTypeOf(kv.set('user:1', { name: 'a' }, { ttl: 5 })).resolves.toEqualTypeOf<Written>()
    expectTypeOf(kv.set('user:1', { name: 'a' }, { ifVersion: null })).resolves.toEqualTypeOf<
      Written | Refused<Entry<'user:1', User>>
    >()
    expectTypeOf(kv.deleteIf('config', 1)).resolves.toEqualTypeOf<
      { readonly ok: true } | Refused<Entry<'config', { readonly theme: string }>>
    >()
    // @ts-expect-error expiry options exclude each other
    void kv.set('config', { theme: 'dark' }, { ttl: 5, keepTtl: true })
    // @ts-expect-error present but undefined
    void kv.set('config', { theme: 'dark' }, { ifVersion: undefined as number | undefined })
  })
})

test('typed client: counters → only where numbers stand', () => {
  expectTyped(() => {
    void kv.increment('count:1', 2, { max: 10 })
    // @ts-expect-error no number stands there
    void kv.increment('config')
    expectTypeOf(kv.update('count:1', (value) => (value ?? 0) + 1)).resolves.toEqualTypeOf<
      Entry<'count:1', number> | undefined
    >()
  })
})

test('typed client: lists → keys and entries of the prefix', () => {
  expectTyped(() => {
    expectTypeOf(kv.keys({ prefix: 'user:' })).toEqualTypeOf<Listing<`user:${string}`>>()
    expectTypeOf(kv.list({ prefix: 'count:' })).toEqualTypeOf<
      Listing<Entry<`count:${string}`, number>>
    >()
    expectTypeOf(kv.keys({ prefix: 'con' })).toEqualTypeOf<Listing<'config'>>()
    expectTypeOf(kv.keys()).toEqualTypeOf<
      Listing<`user:${string}` | `count:${string}` | 'config'>
    >()
  })
})

test('typed client: many writes → each pair by its key', () => {
  expectTyped(() => {
    const entries = [['user:1', { name: 'a' }], { key: 'count:1', value: 1, ttl: 5 }] as const
    expectTypeOf(kv.setMany(entries)).resolves.toEqualTypeOf<Written[]>()
    // @ts-expect-error a number stands there
    void kv.setMany([['count:1', 'one']])
    void untyped.setMany(new Map([['a', 1]]))
  })
})

test('clear: takes a prefix or all, never nothing', () => {
  expectTyped(() => {
    expectTypeOf(kv.clear({ prefix: 'user:' })).resolves.toEqualTypeOf<number>()
    void kv.clear({ all: true, timeout: 5 })
    // @ts-expect-error what to clear must be said
    void kv.clear({})
  })
})

test('untyped client: any key; get takes the type of the value', () => {
  expectTyped(() => {
    expectTypeOf(untyped.get<User>('any')).resolves.toEqualTypeOf<User | undefined>()
    expectTypeOf(untyped.get('any')).resolves.toBeAny()
    expectTypeOf(untyped.keys()).toEqualTypeOf<Listing<string>>()
  })
})

test('adapters: a typed client → fits where any keyspace does', () => {
  expectTyped(() => {
    // oxlint-disable-next-line typescript/no-explicit-any
    expectTypeOf(kv).toExtend<Keyspace<any>>()
    // oxlint-disable-next-line typescript/no-explicit-any
    expectTypeOf(untyped).toExtend<Keyspace<any>>()
    expectTypeOf(kv).toEqualTypeOf<KvClient<Schema>>()
    expectTypeOf(kv).toExtend<AsyncDisposable>()
  })
})
