import { lockWaiterKey } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Feed } from './feed.js'
import { FeedIndex } from './feed-index.js'
import { FROM_NOW, RecordingSink } from './testing/recording-sink.js'

const key = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), minLength: 1, maxLength: 4 })
const what = fc.oneof(
  fc.record({ prefix: fc.oneof(fc.constant(''), key) }),
  fc.record({ keys: fc.array(key, { minLength: 1, maxLength: 4 }) }),
)

describe('feed index', () => {
  test('any feeds, some taken away → a key finds those that watch it, each once', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(what, fc.boolean())), key, (added, changed) => {
        const index = new FeedIndex()
        const feeds = added.map(([selection]) => new RecordingSink(selection, FROM_NOW).feed)
        for (const feed of feeds) index.add(feed)
        const left = feeds.filter((feed, at) => {
          if (added[at]?.[1] !== true) return true
          index.delete(feed)
          return false
        })
        const due = left.filter(
          ({ what: { keys, prefix } }) =>
            keys?.includes(changed) ?? changed.startsWith(prefix as string),
        )
        const found: Feed[] = []
        index.visit(changed, (feed) => found.push(feed))
        expect(found.length).toBe(due.length)
        expect(new Set(found)).toEqual(new Set(due))
        expect(index.concerns(changed)).toBe(due.length > 0)
        expect(index.size).toBe(left.length)
      }),
    )
  })

  test('a key of the system → told to who names it, not to who watches everything', () => {
    const index = new FeedIndex()
    const waiter = lockWaiterKey('a', 1)
    const named = new RecordingSink({ keys: [waiter] }, FROM_NOW).feed
    index.add(new RecordingSink({ prefix: '' }, FROM_NOW).feed)
    expect(index.concerns(waiter)).toBe(false)
    index.add(named)
    const found: Feed[] = []
    index.visit(waiter, (feed) => found.push(feed))
    expect(found).toEqual([named])
    expect(index.concerns(waiter)).toBe(true)
  })

  test('feeds that leave while they are visited → all are visited, all are gone', () => {
    const index = new FeedIndex()
    for (let count = 0; count < 3; count += 1) {
      index.add(new RecordingSink({ prefix: 'a' }, FROM_NOW).feed)
    }
    let visits = 0
    index.visit('ab', (feed) => {
      visits += 1
      index.delete(feed)
    })
    expect([visits, index.size, index.concerns('ab')]).toEqual([3, 0, false])
  })
})
