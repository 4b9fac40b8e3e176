import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KvError } from './errors.js'
import type { WireEvent } from './event-body.js'
import { EVENT_TAGS, readEvents, writeEvent } from './event-body.js'
import { WATCH_KEYS_MAX, WATCHES_MAX } from './limits.js'
import { lockWaiterKey } from './system-keys.js'
import type { WatchSelection, WireWatch } from './watch-body.js'
import {
  readCredits,
  readUnwatches,
  readWatches,
  writeCredits,
  writeUnwatches,
  writeWatch,
} from './watch-body.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const count = fc.maxSafeNat()
const userKey = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
const key = fc.oneof(
  userKey,
  userKey.map((lock) => lockWaiterKey(lock, 7)),
)
const text = fc.string({ unit: 'binary', maxLength: 20 })
const ids = fc.array(count, { maxLength: 5 })
const start = fc.record({
  shard: count,
  epoch: count,
  revision: count,
  seen: count,
  frontier: fc.option(text, { nil: undefined }),
})
const watch: fc.Arbitrary<WireWatch> = fc.record({
  id: count,
  credit: count,
  what: fc.oneof<fc.Arbitrary<WatchSelection>[]>(
    fc.record({ prefix: text }),
    fc.record({ keys: fc.array(key, { minLength: 1, maxLength: 5 }) }),
  ),
  starts: fc.array(start, { maxLength: 4 }),
})
const common = { shard: count, epoch: count, ids }
const value = fc.uint8Array({ maxLength: 20 })
const events: { [Type in WireEvent['type']]: fc.Arbitrary<WireEvent> } = {
  set: fc.record({
    type: fc.constant('set'),
    ...common,
    revision: count,
    index: count,
    expiresAt: count,
    key,
    value,
  }),
  delete: fc.record({
    type: fc.constant('delete'),
    ...common,
    revision: count,
    index: count,
    key,
  }),
  expire: fc.record({
    type: fc.constant('expire'),
    ...common,
    revision: count,
    index: count,
    key,
  }),
  current: fc.record({
    type: fc.constant('current'),
    ...common,
    revision: count,
    version: count,
    expiresAt: count,
    key,
    value,
  }),
  attached: fc.record({ type: fc.constant('attached'), ...common, revision: count }),
  detached: fc.record({ type: fc.constant('detached'), ...common }),
  progress: fc.record({
    type: fc.constant('progress'),
    ...common,
    ids: fc.constant([]),
    revision: count,
  }),
  reset: fc.record({ type: fc.constant('reset'), ...common, reason: text }),
  gone: fc.record({ type: fc.constant('gone'), ...common }),
  failed: fc.record({ type: fc.constant('failed'), ...common, code: count, message: text }),
}
const anyEvent = fc.oneof(...Object.values(events))

function bytesOf(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter()
  write(writer)
  return Uint8Array.from(writer.written())
}

function watchBody(watches: readonly WireWatch[]): Uint8Array {
  return bytesOf((writer) => {
    writer.array(watches.length)
    for (const each of watches) writeWatch(writer, each)
  })
}

function eventBody(items: readonly WireEvent[]): Uint8Array {
  return bytesOf((writer) => {
    writer.array(items.length)
    for (const item of items) writeEvent(writer, item)
  })
}

function eventsOf(body: Uint8Array): WireEvent[] {
  const found: WireEvent[] = []
  readEvents(new WireReader(body), (event) => {
    found.push(
      'value' in event ? ({ ...event, value: Uint8Array.from(event.value) } as WireEvent) : event,
    )
  })
  return found
}

describe('watch bodies', () => {
  test('any watches → come back', () => {
    fc.assert(
      fc.property(fc.array(watch, { maxLength: 4 }), (watches) => {
        expect(readWatches(new WireReader(watchBody(watches)))).toEqual(watches)
      }),
    )
  })

  test('any credit and any unwatch → come back', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ id: count, bytes: count })), ids, (grants, some) => {
        const credit = bytesOf((writer) => writeCredits(writer, grants))
        expect(readCredits(new WireReader(credit))).toEqual(grants)
        const unwatch = bytesOf((writer) => writeUnwatches(writer, some))
        expect(readUnwatches(new WireReader(unwatch))).toEqual(some)
      }),
    )
  })

  test('any events → come back; every type has a number and a test', () => {
    expect(Object.keys(events)).toEqual(Object.keys(EVENT_TAGS))
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 5 }), (items) => {
        expect(eventsOf(eventBody(items))).toEqual(items)
      }),
    )
  })
})

describe('watch bodies: strict', () => {
  const readers: readonly ((body: Uint8Array) => unknown)[] = [
    (body) => readWatches(new WireReader(body)),
    (body) => readCredits(new WireReader(body)),
    (body) => readUnwatches(new WireReader(body)),
    (body) => eventsOf(body),
  ]

  function isRefused(read: () => unknown): boolean {
    try {
      read()
      return false
    } catch (error) {
      assert(error instanceof KvError && error.code === 'PROTOCOL', String(error))
      return true
    }
  }

  test('any bytes → read, or PROTOCOL', () => {
    const sample = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.array(watch, { maxLength: 2 }).map(watchBody),
      fc.array(anyEvent, { maxLength: 2 }).map(eventBody),
    )
    fc.assert(
      fc.property(sample, fc.nat(), fc.nat({ max: 255 }), (bytes, at, byte) => {
        const changed = Uint8Array.from(bytes)
        if (changed.length > 0) changed[at % changed.length] = byte
        for (const read of readers) expect(() => isRefused(() => read(changed))).not.toThrow()
      }),
      { numRuns: 500 },
    )
  })

  test('truncated or longer than it should be → PROTOCOL', () => {
    const one: WireWatch = {
      id: 1,
      credit: 9,
      what: { keys: ['a'] },
      starts: [{ shard: 1, epoch: 2, revision: 3, seen: 0, frontier: '' }],
    }
    const body = watchBody([one])
    for (let end = 0; end < body.length; end += 1) {
      expect(isRefused(() => readWatches(new WireReader(body.subarray(0, end))))).toBe(true)
    }
    expect(isRefused(() => readWatches(new WireReader(Uint8Array.of(...body, 0))))).toBe(true)
    expect(
      isRefused(() => readWatches(new WireReader(watchBody([{ ...one, what: { keys: [] } }])))),
    ).toBe(true)
    expect(
      isRefused(() => readWatches(new WireReader(watchBody([{ ...one, what: { keys: [''] } }])))),
    ).toBe(true)
  })

  test('one more than the limits allow → PROTOCOL (P7)', () => {
    const keys = Array.from({ length: WATCH_KEYS_MAX + 1 }, (_, index) => `k${index}`)
    const body = watchBody([{ id: 1, credit: 0, what: { keys }, starts: [] }])
    expect(isRefused(() => readWatches(new WireReader(body)))).toBe(true)
    const many = Array.from({ length: WATCHES_MAX + 1 }, (_, index) => index)
    const unwatch = bytesOf((writer) => writeUnwatches(writer, many))
    expect(isRefused(() => readUnwatches(new WireReader(unwatch)))).toBe(true)
    const odd = bytesOf((writer) => writeUnwatches(writer, [1, 2, 3]))
    expect(isRefused(() => readCredits(new WireReader(odd)))).toBe(true)
  })
})
