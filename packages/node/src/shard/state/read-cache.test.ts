import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LiveHeld } from '../held.js'
import { CACHED_VALUE_BYTES_MAX, ReadCache } from './read-cache.js'

const BYTES = 65_536

function held(version: number, value: Uint8Array, expiresAt = 0): LiveHeld {
  return { version, expiresAt, memory: { bytes: value }, start: 0, end: value.length }
}

/** An entry, as what a test compares. */
function seen(found: LiveHeld | undefined): [number, number, string] | undefined {
  if (found === undefined) return undefined
  const value = Buffer.from(found.memory.bytes.subarray(found.start, found.end)).toString()
  return [found.version, found.expiresAt, value]
}

const key = fc.oneof(
  fc.nat({ max: 600 }).map((number) => `key:${number}`),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
)
const step = fc.record({
  type: fc.constantFrom('put', 'put', 'put', 'get', 'forget'),
  owner: fc.constantFrom(1, 2),
  key,
  bytes: fc.nat({ max: 700 }),
})

describe('read cache', () => {
  test('any puts, gets and forgets, many times round → what was put last, or nothing', () => {
    const property = fc.property(fc.array(step, { minLength: 400, maxLength: 800 }), (steps) => {
      const cache = new ReadCache(BYTES)
      const model = new Map<string, LiveHeld>()
      for (const [version, { type, owner, key, bytes }] of steps.entries()) {
        const name = `${owner} ${key}`
        if (type === 'forget') {
          cache.forget(owner, key)
          model.delete(name)
          continue
        }
        const last = seen(model.get(name))
        const found = cache.get(owner, key)
        expect([undefined, last]).toContainEqual(seen(found))
        if (type === 'get' || found !== undefined) continue
        const entry = held(version, Buffer.alloc(bytes, key), version * 1.5)
        cache.put(owner, key, entry)
        model.set(name, entry)
        expect(seen(cache.get(owner, key))).toEqual(seen(entry))
      }
    })
    fc.assert(property, { numRuns: 50 })
  })

  test('P7: as many entries as there is memory for stay, the oldest go first', () => {
    const cache = new ReadCache(BYTES)
    const value = Buffer.alloc(1_000)
    for (let index = 0; index < 1_000; index += 1) cache.put(1, `${index}`, held(index + 1, value))
    const kept = Array.from({ length: 1_000 }, (_, index) => index).filter(
      (index) => cache.get(1, `${index}`) !== undefined,
    )
    expect(kept.length).toBeLessThanOrEqual(BYTES / 1_000)
    expect(kept.length).toBeGreaterThan(BYTES / 1_100 / 2)
    expect(kept.at(-1)).toBe(999)
    expect(kept[0]).toBeGreaterThanOrEqual(1_000 - BYTES / 1_000)
  })

  test('hundreds of times round, until positions begin anew → never another entry', () => {
    const cache = new ReadCache(BYTES)
    const value = Buffer.alloc(CACHED_VALUE_BYTES_MAX)
    for (let index = 0; index < 10_000; index += 1) {
      const name = `${index % 100}`
      const version = Math.floor(index / 100) + 1
      expect([undefined, version - 1]).toContain(cache.get(1, name)?.version)
      cache.forget(1, name)
      cache.put(1, name, held(version, value))
      expect(cache.get(1, name)?.version).toBe(version)
    }
  })

  test('entries of one owner → not found for another', () => {
    const cache = new ReadCache(BYTES)
    const [first, second] = [cache.newOwner(), cache.newOwner()]
    cache.put(first, 'a', held(1, Buffer.from('x')))
    expect(cache.get(second, 'a')).toBeUndefined()
    cache.forget(second, 'a')
    expect(seen(cache.get(first, 'a'))).toEqual([1, 0, 'x'])
  })

  test('a value over the limit → not kept', () => {
    const cache = new ReadCache(BYTES)
    cache.put(1, 'a', held(1, Buffer.alloc(CACHED_VALUE_BYTES_MAX + 1)))
    expect(cache.get(1, 'a')).toBeUndefined()
  })
})
