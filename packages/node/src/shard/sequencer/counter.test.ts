import { WireWriter, encodeValue, writeNumberValue } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { LiveHeld } from '../held.js'
import { count } from './counter.js'

function stored(value: unknown): LiveHeld {
  const writer = new WireWriter()
  writer.uint8(0xff)
  encodeValue(writer, value)
  return { version: 1, expiresAt: 0, memory: writer, start: 1, end: writer.position }
}

function step(by: number, bounds: { min?: number; max?: number } = {}) {
  return { by, min: bounds.min, max: bounds.max }
}

describe('counter: sums', () => {
  test.each([
    [undefined, 1, 1],
    [undefined, -2.5, -2.5],
    [41, 1, 42],
    [0.5, 0.25, 0.75],
    [-1, 1, 0],
    [2 ** 40, -(2 ** 40), 0],
  ])('%s + %s → %s', (before, by, value) => {
    const held = before === undefined ? undefined : stored(before)
    expect(count(held, step(by))).toEqual({ ok: true, value })
  })

  test('-0 → stored as 0, so that it reads as it was answered', () => {
    const counted = count(stored(0), step(-0))
    const writer = new WireWriter()
    writeNumberValue(writer, counted.ok ? counted.value : Number.NaN)
    expect([...writer.written()]).toEqual([0])
  })
})

describe('counter: bounds', () => {
  test.each([
    [9, 1, { max: 10 }, 10],
    [10, 1, { max: 10 }, 'OUT_OF_RANGE'],
    [1, -1, { min: 0 }, 0],
    [0, -1, { min: 0 }, 'OUT_OF_RANGE'],
    [0, 1, { min: 5, max: 4 }, 'OUT_OF_RANGE'],
    [20, -1, { max: 10 }, 'OUT_OF_RANGE'],
    [20, -10, { max: 10 }, 10],
    [0, Number.MAX_SAFE_INTEGER, {}, Number.MAX_SAFE_INTEGER],
    [1, Number.MAX_SAFE_INTEGER, {}, 'OUT_OF_RANGE'],
    [0, -Number.MAX_SAFE_INTEGER, {}, -Number.MAX_SAFE_INTEGER],
    [-1, -Number.MAX_SAFE_INTEGER, {}, 'OUT_OF_RANGE'],
    [Number.MAX_SAFE_INTEGER, 1, { max: Infinity }, 'OUT_OF_RANGE'],
    [1e300, 1, {}, 'OUT_OF_RANGE'],
    [0, Number.MAX_VALUE, {}, 'OUT_OF_RANGE'],
  ])('%s + %s within %j → %s', (before, by, bounds, outcome) => {
    expect(count(stored(before), step(by, bounds))).toMatchObject(
      typeof outcome === 'number' ? { ok: true, value: outcome } : { ok: false, code: outcome },
    )
  })
})

describe('counter: what is no number', () => {
  test.each([['1'], [true], [null], [Number.NaN], [Infinity], [1n], [[1]], [new Uint8Array(1)]])(
    'the key holds %s → NOT_A_NUMBER',
    (value) => {
      expect(count(stored(value), step(1))).toMatchObject({ ok: false, code: 'NOT_A_NUMBER' })
    },
  )

  test('bytes that no value has → NOT_A_NUMBER', () => {
    const memory = { bytes: Uint8Array.of(0xcb, 1) }
    const held = { version: 1, expiresAt: 0, memory, start: 0, end: 2 }
    expect(count(held, step(1))).toMatchObject({ ok: false, code: 'NOT_A_NUMBER' })
  })
})
