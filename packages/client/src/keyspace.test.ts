/**
 * The inference of the public types: what is wrong here fails the type check, not the run. It is checked
 * with `exactOptionalPropertyTypes` and without.
 */
import { expect, expectTypeOf, test } from 'vitest'
import { createClient } from './index.js'
import type {
  Atomic,
  Committed,
  Conflict,
  Entry,
  Keyspace,
  KvClient,
  Listing,
  Lock,
  Namespace,
  Refused,
  TypedNamespace,
  Written,
} from './index.js'
import { ageSchema } from './testing/validators.js'

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
    expectTypeOf(kv.get('user:1', { consistency: 'replica' })).resolves.toEqualTypeOf<
      User | undefined
    >()
    // @ts-expect-error no such consistency
    void kv.get('user:1', { consistency: 'eventual' }).catch(() => {})
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

test('typed client: an atomic batch → values by key, conflicts by key', () => {
  expectTyped(() => {
    const batch = kv.atomic().check('config', null).set('user:1', { name: 'a' }, { ttl: 5 })
    expectTypeOf(batch).toEqualTypeOf<Atomic<Schema>>()
    expectTypeOf(
      batch.increment('count:1', 2).touch('config', null).delete('user:2'),
    ).toEqualTypeOf<Atomic<Schema>>()
    expectTypeOf(batch.commit()).resolves.toEqualTypeOf<
      Committed | { readonly ok: false; readonly failed: readonly Conflict<Schema>[] }
    >()
    expectTypeOf<Conflict<Schema>>().toEqualTypeOf<
      | {
          readonly key: `user:${string}`
          readonly current: Entry<`user:${string}`, User> | undefined
        }
      | {
          readonly key: `count:${string}`
          readonly current: Entry<`count:${string}`, number> | undefined
        }
      | {
          readonly key: 'config'
          readonly current: Entry<'config', { readonly theme: string }> | undefined
        }
    >()
    // @ts-expect-error no such key
    kv.atomic().check('other', 1)
    // @ts-expect-error a number stands there
    kv.atomic().set('count:1', 'one')
    // @ts-expect-error no number stands there
    kv.atomic().increment('config')
    // @ts-expect-error absent and a version are what can be checked
    kv.atomic().check('config', undefined)
  })
})

test('typed client: a lock → its key fits an atomic batch', () => {
  expectTyped(async () => {
    const lock = await kv.lock('config', { ttl: 5, wait: 5 })
    expectTypeOf(lock).toEqualTypeOf<Lock<'config'>>()
    kv.atomic().check(lock.key, lock.version)
    // @ts-expect-error no such key
    void kv.lock('other', { ttl: 5 })
    // @ts-expect-error for how long?
    void kv.lock('config', {})
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

test('namespace: of a typed client → its keys without the prefix', () => {
  expectTyped(() => {
    const users = kv.namespace('user:')
    expectTypeOf(users.get('1')).resolves.toEqualTypeOf<User | undefined>()
    expectTypeOf(users.keys()).toEqualTypeOf<Listing<string>>()
    expectTypeOf(kv.namespace('con').get('fig')).resolves.toEqualTypeOf<
      { readonly theme: string } | undefined
    >()
    void kv.namespace('count:').increment('x')
    void users.clear()
    // @ts-expect-error a user stands there
    void users.set('1', 5)
    // @ts-expect-error no number stands there
    void users.increment('1')
    // @ts-expect-error no such key begins so
    void kv.namespace('other:').get('x')
    // @ts-expect-error it validates nothing
    kv.namespace('user:', { validateOnRead: true })
  })
})

test('namespace: nested prefixes of deeper keys → one word off at a time', () => {
  expectTyped(() => {
    const deep = createClient<{ [key: `shop:${string}:cart`]: User[]; 'shop:name': string }>()
    const shop = deep.namespace('shop:')
    expectTypeOf(shop.get('name')).resolves.toEqualTypeOf<string | undefined>()
    expectTypeOf(shop.get('7:cart')).resolves.toEqualTypeOf<User[] | undefined>()
    // @ts-expect-error no such key
    void shop.get('7:basket')
  })
})

test('namespace: with a schema → its input goes in, its output comes out', () => {
  expectTyped(() => {
    const ages = untyped.namespace('age:', { schema: ageSchema, validateOnRead: true })
    expectTypeOf(ages).toEqualTypeOf<TypedNamespace<typeof ageSchema>>()
    expectTypeOf(ages.get('a')).resolves.toEqualTypeOf<number | undefined>()
    expectTypeOf(ages.set('a', '41')).resolves.toEqualTypeOf<Written>()
    expectTypeOf(ages.set('a', '41', { ifVersion: null })).resolves.toEqualTypeOf<
      Written | Refused<Entry<'a', number>>
    >()
    expectTypeOf(ages.list()).toEqualTypeOf<Listing<Entry<string, number>>>()
    void ages.update('a', (age) => String((age ?? 0) + 1))
    void ages.setMany([['a', '1'], { key: 'b', value: '2', ttl: 5 }])
    void ages.namespace('of:').set('b', '7')
    // @ts-expect-error the schema takes text
    void ages.set('a', 41)
    // @ts-expect-error the schema takes text
    void ages.setMany([['a', 41]])
    // @ts-expect-error the schema takes text
    void ages.update('a', (age) => age)
    // @ts-expect-error a schema is a validator
    untyped.namespace('age:', { schema: { type: 'number' } })
  })
})

test('namespace: of an untyped client → untyped; get takes the type of the value', () => {
  expectTyped(() => {
    const any = untyped.namespace('any:')
    expectTypeOf(any.get<User>('x')).resolves.toEqualTypeOf<User | undefined>()
    expectTypeOf(any.get('x')).resolves.toBeAny()
    expectTypeOf(any.namespace('b:').get<User>('x')).resolves.toEqualTypeOf<User | undefined>()
    void any.clear()
    // @ts-expect-error a client says what it clears
    void untyped.clear()
  })
})

test('adapters: any namespace → fits where any keyspace does', () => {
  expectTyped(() => {
    // oxlint-disable-next-line typescript/no-explicit-any
    type Any = Keyspace<any>
    expectTypeOf(kv.namespace('user:')).toExtend<Any>()
    expectTypeOf(kv.namespace('user:')).toEqualTypeOf<Namespace<{ [key: string]: User }>>()
    expectTypeOf(untyped.namespace('a')).toExtend<Any>()
    expectTypeOf(untyped.namespace('a', { schema: ageSchema })).toExtend<Any>()
  })
})
