import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { History } from './history.js'

const EMPTY = { firstRevision: 1, lastRevision: 0, bytes: 0 }

describe('history kept for watchers', () => {
  test('none asked for → everything may go', () => {
    const history = new History({ bytesMax: 0, ageMsMax: 0 }, EMPTY, 0)
    history.add(5, 100, 0)
    expect(history.keepFrom(1)).toBe(6)
  })

  test('too old → goes, also if nothing is written', () => {
    const history = new History({ bytesMax: 1_000_000, ageMsMax: 1_000 }, EMPTY, 0)
    history.add(5, 10, 0)
    history.add(6, 10, 500)
    expect(history.keepFrom(1_000)).toBe(1)
    expect(history.keepFrom(1_001)).toBe(6)
    expect(history.keepFrom(1_501)).toBe(7)
  })

  test('what was there at the start → counts from that moment', () => {
    const log = { firstRevision: 7, lastRevision: 90, bytes: 900 }
    const history = new History({ bytesMax: 1_000, ageMsMax: 1_000 }, log, 0)
    expect(history.keepFrom(1_000)).toBe(7)
    history.add(91, 200, 1_000)
    expect(history.keepFrom(1_000)).toBe(91)
  })

  test('any frames → at most the bytes asked for are kept, and nearly all of them', () => {
    const frames = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 300 })
    fc.assert(
      fc.property(frames, (sizes) => {
        const history = new History({ bytesMax: 4_000, ageMsMax: 1_000 }, EMPTY, 0)
        for (const [index, bytes] of sizes.entries()) history.add(index + 1, bytes, index / 100)
        const from = history.keepFrom(3)
        const kept = sizes.slice(from - 1).reduce((sum, bytes) => sum + bytes, 0)
        expect(kept).toBeLessThanOrEqual(4_000)
        expect(from === 1 || kept > 4_000 - 125 - 400).toBe(true)
      }),
    )
  })
})
