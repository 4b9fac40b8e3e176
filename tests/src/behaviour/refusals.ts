import type { UntypedClient } from '@kv/client'
import { KvError } from '@kv/client'
import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf, rejectionOf } from './rejection.js'

/** What no type checker would let pass. */
type Loose = Record<string, (...args: readonly unknown[]) => Promise<unknown>>

const ILLEGAL_KEYS: Readonly<Record<string, string>> = {
  'the empty string': '',
  '2,049 bytes': 'k'.repeat(2_049),
  '2,049 bytes in fewer characters': `${'語'.repeat(683)}`,
  'a lone high surrogate': 'a\ud83d',
  'a lone low surrogate': '\ude00a',
  'surrogates in the wrong order': '\ude00\ud83d',
}

const CALLS_WITH_A_KEY: Readonly<Record<string, (kv: Loose, key: unknown) => Promise<unknown>>> = {
  get: (kv, key) => call(kv, 'get', key),
  getEntry: (kv, key) => call(kv, 'getEntry', key),
  has: (kv, key) => call(kv, 'has', key),
  set: (kv, key) => call(kv, 'set', key, 1),
  delete: (kv, key) => call(kv, 'delete', key),
  deleteIf: (kv, key) => call(kv, 'deleteIf', key, 1),
  touch: (kv, key) => call(kv, 'touch', key, 1),
  increment: (kv, key) => call(kv, 'increment', key),
  update: (kv, key) => call(kv, 'update', key, () => 1),
  getMany: (kv, key) => call(kv, 'getMany', [key]),
  getEntries: (kv, key) => call(kv, 'getEntries', [key]),
  hasMany: (kv, key) => call(kv, 'hasMany', [key]),
  setMany: (kv, key) => call(kv, 'setMany', [[key, 1]]),
  deleteMany: (kv, key) => call(kv, 'deleteMany', [key]),
}

/** Mistakes of a program, each as the call that makes it. */
const MISTAKES: Readonly<Record<string, (kv: Loose, key: string) => Promise<unknown>>> = {
  'no value': (kv, key) => call(kv, 'set', key),
  'undefined as value': (kv, key) => call(kv, 'set', key, undefined),
  'a function as value': (kv, key) => call(kv, 'set', key, () => 1),
  'a function inside a value': (kv, key) => call(kv, 'set', key, { deep: [() => 1] }),
  'a symbol as value': (kv, key) => call(kv, 'set', key, Symbol('value')),
  'a promise as value': (kv, key) => call(kv, 'set', key, Promise.resolve(1)),
  'a cycle as value': (kv, key) => call(kv, 'set', key, cycle()),
  'ttl 0': (kv, key) => call(kv, 'set', key, 1, { ttl: 0 }),
  'a negative ttl': (kv, key) => call(kv, 'set', key, 1, { ttl: -1 }),
  'an endless ttl': (kv, key) => call(kv, 'set', key, 1, { ttl: Infinity }),
  'a ttl that is text': (kv, key) => call(kv, 'set', key, 1, { ttl: '60' }),
  'two expiries': (kv, key) => call(kv, 'set', key, 1, { ttl: 1, expiresAt: 1 }),
  'ttl and keepTtl': (kv, key) => call(kv, 'set', key, 1, { ttl: 1, keepTtl: true }),
  'ifVersion that is undefined': (kv, key) => call(kv, 'set', key, 1, { ifVersion: undefined }),
  'ifVersion 0': (kv, key) => call(kv, 'set', key, 1, { ifVersion: 0 }),
  'ifVersion 1.5': (kv, key) => call(kv, 'set', key, 1, { ifVersion: 1.5 }),
  'deleteIf without a version': (kv, key) => call(kv, 'deleteIf', key),
  'touch without a ttl': (kv, key) => call(kv, 'touch', key),
  'touch with ttl 0': (kv, key) => call(kv, 'touch', key, 0),
  'increment by text': (kv, key) => call(kv, 'increment', key, '1'),
  'increment by NaN': (kv, key) => call(kv, 'increment', key, NaN),
  'increment by Infinity': (kv, key) => call(kv, 'increment', key, Infinity),
  'a max that is text': (kv, key) => call(kv, 'increment', key, 1, { max: '5' }),
  'update without a function': (kv, key) => call(kv, 'update', key),
  'an option that does not exist': (kv, key) => call(kv, 'set', key, 1, { tll: 5 }),
  'an option of another call': (kv, key) => call(kv, 'get', key, { ttl: 5 }),
  'a signal in the place of options': (kv, key) =>
    call(kv, 'set', key, 1, new AbortController().signal),
  'a timeout of 0': (kv, key) => call(kv, 'get', key, { timeout: 0 }),
  'a timeout that is text': (kv, key) => call(kv, 'get', key, { timeout: '1s' }),
  'clear without a word': (kv) => call(kv, 'clear'),
  'clear of nothing in particular': (kv) => call(kv, 'clear', {}),
  'clear of the empty prefix': (kv) => call(kv, 'clear', { prefix: '' }),
  'clear of a prefix and all': (kv, key) => call(kv, 'clear', { prefix: key, all: true }),
  'getMany of no list': (kv) => call(kv, 'getMany', 5),
  'setMany of no list': (kv) => call(kv, 'setMany', 5),
  'setMany of what is no entry': (kv) => call(kv, 'setMany', [5]),
  'setMany without a value': (kv, key) => call(kv, 'setMany', [[key, undefined]]),
}

export function describeRefusals(clients: () => Clients): void {
  describe('refusals', () => {
    test.each(Object.entries(ILLEGAL_KEYS))('%s as key → INVALID_KEY', async (_, key) => {
      const kv = loose(clients().client)
      for (const [name, make] of Object.entries(CALLS_WITH_A_KEY)) {
        expect([name, await failureOf(() => make(kv, key))]).toEqual([
          name,
          'INVALID_KEY not-applied',
        ])
      }
    })

    test.each([42, null, undefined, Symbol('key'), {}, ['key']])(
      'a key that is no string → TypeError, as a rejection (case %#)',
      async (key) => {
        const kv = loose(clients().client)
        for (const [name, make] of Object.entries(CALLS_WITH_A_KEY)) {
          expect([name, await failureOf(() => make(kv, key))]).toEqual([name, 'TypeError'])
        }
      },
    )

    test.each(Object.entries(MISTAKES))('%s → TypeError, nothing written', async (_, make) => {
      const { client } = clients()
      const prefix = ownPrefix()
      expect(await failureOf(() => make(loose(client), `${prefix}key`))).toBe('TypeError')
      expect(await client.count({ prefix })).toBe(0)
    })

    test('a setMany with one mistake writes nothing at all', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      const entries = [
        [`${prefix}a`, 1],
        [`${prefix}b`, () => 1],
      ]
      expect(await failureOf(() => call(loose(client), 'setMany', entries))).toBe('TypeError')
      expect(await client.count({ prefix })).toBe(0)
    })

    test('mistakes in a range come with the first item', async () => {
      const { client } = clients()
      const kv = client as unknown as {
        list(range: unknown): { toArray(): Promise<unknown> }
      }
      const ranges = [
        { prefix: 5 },
        { gt: null },
        { limit: -1 },
        { limit: 1.5 },
        { reverse: 'yes' },
        { pageSize: 0 },
        { cursor: 5 },
      ]
      for (const range of ranges) {
        expect([range, await failureOf(() => kv.list(range).toArray())]).toEqual([
          range,
          'TypeError',
        ])
      }
    })

    test('an aborted signal → its reason, nothing written', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const reason = new Error('changed my mind')
      const signal = AbortSignal.abort(reason)
      expect(await rejectionOf(() => client.set(key, 1, { signal }))).toBe(reason)
      expect(await rejectionOf(() => client.get(key, { signal }))).toBe(reason)
      expect(await rejectionOf(() => client.getMany([key], { signal }))).toBe(reason)
      expect(await rejectionOf(() => client.list({ prefix: key, signal }).toArray())).toBe(reason)
      expect(await rejectionOf(() => client.count({ prefix: key, signal }))).toBe(reason)
      expect(await client.has(key)).toBe(false)
    })

    test('a signal aborted in the turn of the call → its reason, nothing written', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const controller = new AbortController()
      const written = rejectionOf(() => client.set(key, 1, { signal: controller.signal }))
      controller.abort()
      expect(await written).toBe(controller.signal.reason)
      expect(await client.has(key)).toBe(false)
    })

    test('a KvError says code, outcome and whether trying again helps', async () => {
      const { client } = clients()
      const error = await rejectionOf(() => client.get(''))
      expect(error).toBeInstanceOf(KvError)
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject({
        name: 'KvError',
        code: 'INVALID_KEY',
        retryable: false,
        outcome: 'not-applied',
      })
    })
  })
}

function loose(client: UntypedClient): Loose {
  return client as unknown as Loose
}

function call(kv: Loose, name: string, ...args: readonly unknown[]): Promise<unknown> {
  const method = kv[name]
  if (method === undefined) throw new Error(`there is no call ${name}`)
  return method.apply(kv, args as unknown[])
}

function cycle(): object {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}
