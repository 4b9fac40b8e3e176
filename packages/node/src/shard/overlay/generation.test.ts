import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { tombstone } from '../held.js'
import { textHeld, textOf } from '../testing/entries.js'
import { Generation } from './generation.js'

function takeAll(generation: Generation, nowMs: number): { key: string; expiresAt: number }[] {
  const taken: { key: string; expiresAt: number }[] = []
  for (;;) {
    const next = generation.takeDue(nowMs)
    if (next === undefined) return taken
    taken.push(next)
  }
}

describe('generation: entries', () => {
  test('a key put twice → the later entry, counted once', () => {
    const generation = new Generation()
    generation.put('a', textHeld('one', 1))
    generation.put('a', textHeld('two', 2))
    expect(generation.size).toBe(1)
    expect(textOf(generation.get('a'))).toBe('two')
  })

  test('a deleted key → its tombstone is there, so that it hides what is stored', () => {
    const generation = new Generation()
    generation.put('a', tombstone(3))
    expect(generation.get('a')).toEqual(tombstone(3))
    expect(generation.get('b')).toBeUndefined()
  })

  test('P7: bytes → grow with each key and with each expiry that has to be remembered', () => {
    const generation = new Generation()
    generation.put('a', textHeld('one'))
    const one = generation.bytes
    expect(one).toBeGreaterThan(100)
    generation.put('a', textHeld('two'))
    expect(generation.bytes).toBe(one)
    generation.put('a', textHeld('three', 3, { expiresAt: 5 }))
    expect(generation.bytes).toBeGreaterThan(one)
  })

  test('order → asked for once, it follows what is put later', () => {
    const generation = new Generation()
    generation.put('b', textHeld('b'))
    while (generation.order.sortSome());
    generation.put('a', textHeld('a'))
    while (generation.order.sortSome());
    expect(generation.order.cursor('', undefined, false).key).toBe('a')
  })
})

describe('generation: due keys', () => {
  test('any expiries → handed out by time, each once, none before its time', () => {
    const expiry = fc.integer({ min: 1, max: 100 })
    const property = fc.property(fc.array(expiry), fc.nat(120), (expiries, nowMs) => {
      const generation = new Generation()
      for (const [index, expiresAt] of expiries.entries()) {
        generation.put(`key ${index}`, textHeld('x', 1, { expiresAt }))
      }
      const due = expiries.filter((expiresAt) => expiresAt <= nowMs)
      expect(takeAll(generation, nowMs).map(({ expiresAt }) => expiresAt)).toEqual(
        due.toSorted((a, b) => a - b),
      )
      expect(takeAll(generation, nowMs)).toEqual([])
      expect(takeAll(generation, 200)).toHaveLength(expiries.length - due.length)
    })
    fc.assert(property)
  })

  test('at exactly its time → due', () => {
    const generation = new Generation()
    generation.put('a', textHeld('x', 1, { expiresAt: 10 }))
    expect(generation.takeDue(9)).toBeUndefined()
    expect(generation.takeDue(10)).toEqual({ key: 'a', expiresAt: 10 })
  })

  test('an entry without expiry → never due', () => {
    const generation = new Generation()
    generation.put('a', textHeld('x'))
    expect(generation.takeDue(Number.MAX_SAFE_INTEGER)).toBeUndefined()
  })
})
