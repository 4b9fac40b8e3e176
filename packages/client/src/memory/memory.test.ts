import fc from 'fast-check'
import { compareKeys } from '@kv/protocol'
import { afterEach, expect, test, vi } from 'vitest'
import { outcomeOf } from '../testing/harness.js'
import { Draft } from './draft.js'
import { createMemoryClient, createMemoryNode } from './index.js'
import { MemoryShard } from './memory-shard.js'

afterEach(() => {
  vi.useRealTimers()
})

test('memory: each client has its own; clients of one node share', async () => {
  const [a, b] = [createMemoryClient(), createMemoryClient()]
  await a.set('k', 1)
  expect(await b.get('k')).toBe(undefined)
  const node = createMemoryNode()
  const [one, two] = [node.createClient(), node.createClient({ timeout: 500 })]
  await one.set('k', 1)
  expect(await two.get('k')).toBe(1)
})

test('memory: what is stored is a copy → changing it changes nothing', async () => {
  const kv = createMemoryClient()
  const value = { list: [1], bytes: Uint8Array.of(1), at: new Date(0) }
  const written = kv.set('k', value)
  value.list.push(2)
  await written
  const read = await kv.get<typeof value>('k')
  expect(read).toEqual({ list: [1], bytes: Uint8Array.of(1), at: new Date(0) })
  read!.list.push(3)
  read!.bytes[0] = 9
  expect(await kv.get('k')).toEqual({ list: [1], bytes: Uint8Array.of(1), at: new Date(0) })
})

test('memory: the clock given → an entry ends in the very millisecond', async () => {
  let now = 1_000
  const kv = createMemoryClient({ clock: { now: () => now } })
  await kv.set('k', 1, { ttl: 250 })
  expect((await kv.getEntry('k'))?.expiresAt).toBe(1_250)
  now = 1_249.9
  expect(await kv.get('k')).toBe(1)
  now = 1_250
  expect(await kv.get('k')).toBe(undefined)
  expect(await kv.count()).toBe(0)
})

test('memory: faked timers → time passes when they say so, for watches too', async () => {
  vi.useFakeTimers()
  const kv = createMemoryClient()
  const watch = kv.watch('k')[Symbol.asyncIterator]()
  await watch.next()
  await kv.set('k', 1, { ttl: 60_000 })
  expect((await watch.next()).value).toMatchObject({ type: 'set' })
  const next = watch.next()
  await vi.advanceTimersByTimeAsync(59_999)
  expect(await kv.get('k')).toBe(1)
  await vi.advanceTimersByTimeAsync(1)
  expect((await next).value).toMatchObject({ type: 'expire', key: 'k' })
  expect(await kv.get('k')).toBe(undefined)
  await kv.close()
  expect(vi.getTimerCount()).toBe(0)
})

test('memory: connect, status and close → as of any client', async () => {
  const kv = createMemoryClient()
  expect(kv.status).toBe('idle')
  await kv.connect()
  expect(kv.status).toBe('ready')
  await kv.close()
  expect(kv.status).toBe('closed')
  expect(await outcomeOf(kv.get('k'))).toMatchObject({ code: 'CLOSED' })
})

test.each([[{ clok: 1 }], [{ clock: 5 }], [{ clock: { now: () => Number.NaN } }], ['memory']])(
  'createMemoryClient(%j) → TypeError',
  (options) => {
    expect(() => createMemoryClient(options as never)).toThrow(TypeError)
  },
)

test('memory shard: any puts and deletes → its keys in order, each version above the last', () => {
  const key = fc.constantFrom('a', 'b', 'é', '\uffff', '😀', 'aa', 'z')
  const step = fc.record({ key, isPut: fc.boolean(), looks: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const shard = new MemoryShard()
      const model = new Map<string, number>()
      const versions = [0]
      for (const { key: k, isPut, looks } of steps) {
        const draft = new Draft(shard, 0)
        if (isPut) draft.put(k, Uint8Array.of(0), 0)
        else draft.delete(k)
        shard.commit(draft)
        if (isPut) {
          const version = shard.get(k, 0)?.version ?? 0
          versions.push(version)
          model.set(k, version)
        } else {
          model.delete(k)
        }
        if (!looks) continue
        const expected = [...model.keys()].toSorted(compareKeys)
        const all = { from: '', to: undefined }
        expect([...shard.keysIn(all, false, 0)]).toEqual(expected)
        expect([...shard.keysIn({ from: 'aa', to: '😀' }, true, 0)]).toEqual(
          expected
            .filter((found) => compareKeys(found, 'aa') >= 0 && compareKeys(found, '😀') < 0)
            .toReversed(),
        )
      }
      expect(versions).toEqual([...new Set(versions)].toSorted((left, right) => left - right))
    }),
  )
})
