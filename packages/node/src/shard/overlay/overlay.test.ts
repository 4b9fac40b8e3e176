import { describe, expect, test } from 'vitest'
import { tombstone } from '../held.js'
import { textHeld, textOf } from '../testing/entries.js'
import { Overlay } from './overlay.js'

describe('overlay: generations', () => {
  test('frozen and active → the active entry wins, also where it is a tombstone', () => {
    const overlay = new Overlay()
    overlay.put('a', textHeld('old', 1))
    overlay.put('b', textHeld('old', 2))
    overlay.put('c', textHeld('old', 3))
    overlay.freeze()
    overlay.put('a', textHeld('new', 4))
    overlay.put('b', tombstone(5))
    expect(textOf(overlay.get('a'))).toBe('new')
    expect(overlay.get('b')).toEqual(tombstone(5))
    expect(textOf(overlay.get('c'))).toBe('old')
    expect(overlay.generations).toHaveLength(2)
  })

  test('the frozen one dropped → only what came after is left', () => {
    const overlay = new Overlay()
    overlay.put('a', textHeld('old'))
    overlay.freeze()
    overlay.put('b', textHeld('new'))
    overlay.dropFrozen()
    expect(overlay.get('a')).toBeUndefined()
    expect(textOf(overlay.get('b'))).toBe('new')
    expect(overlay.isApplying).toBe(false)
    expect(overlay.isEmpty).toBe(false)
  })

  test('frozen already → a second freeze is refused, so that nothing is lost', () => {
    const overlay = new Overlay()
    overlay.put('a', textHeld('x'))
    overlay.freeze()
    expect(() => overlay.freeze()).toThrow(/frozen generation already/)
  })

  test('a new active generation → knows up to which revision the one before it went', () => {
    const overlay = new Overlay()
    overlay.put('a', textHeld('x'))
    overlay.committed(7, 100)
    expect(overlay.freeze().lastRevision).toBe(7)
    overlay.dropFrozen()
    expect(overlay.freeze().lastRevision).toBe(7)
  })

  test('empty → only when neither generation holds anything, applied or not', () => {
    const overlay = new Overlay()
    expect(overlay.isEmpty).toBe(true)
    overlay.put('a', textHeld('x'))
    expect(overlay.isEmpty).toBe(false)
    overlay.freeze()
    expect(overlay.isEmpty).toBe(false)
    overlay.dropFrozen()
    expect(overlay.isEmpty).toBe(true)
  })
})

describe('overlay: bytes', () => {
  test('P7: frames and entries of both generations count until they are dropped', () => {
    const overlay = new Overlay()
    overlay.put('a', textHeld('x'))
    overlay.committed(1, 1_000)
    const first = overlay.bytes
    expect(first).toBeGreaterThan(1_000)
    overlay.freeze()
    overlay.put('b', textHeld('x'))
    overlay.committed(2, 500)
    expect(overlay.bytes).toBeGreaterThan(first + 500)
    overlay.dropFrozen()
    expect(overlay.bytes).toBeLessThan(first)
  })

  test('P7: what the next attempt would free → the frozen generation if there is one', () => {
    const overlay = new Overlay()
    overlay.committed(1, 1_000)
    expect(overlay.applicableBytes).toBe(1_000)
    overlay.freeze()
    overlay.committed(2, 50)
    expect(overlay.applicableBytes).toBe(1_000)
    overlay.dropFrozen()
    expect(overlay.applicableBytes).toBe(50)
  })
})
