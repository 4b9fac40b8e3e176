import { describe, expect, test } from 'vitest'
import { jsonOf, textOf, valueOf } from './value-text.js'

describe('values on the command line', () => {
  test('text is taken as it is; with --json it is any JSON', () => {
    expect(valueOf('{"a":1}', false)).toBe('{"a":1}')
    expect(valueOf('{"a":[1,null]}', true)).toEqual({ a: [1, null] })
    expect(() => valueOf('{a}', true)).toThrow(TypeError)
    expect(() => valueOf('{a}', true)).toThrow('the value is not JSON')
  })

  test('for people a string is shown as it is, anything else whole', () => {
    expect(textOf('a\nb')).toBe('a\nb')
    expect(textOf(new Map([['a', 1n]]))).toBe("Map(1) { 'a' => 1n }")
    expect(textOf({ a: { b: { c: { d: {} } } } })).toContain('d: {}')
  })

  test('what JSON does not have becomes the nearest that it has', () => {
    const value = {
      big: 2n ** 70n,
      map: new Map([['a', new Set([1])]]),
      bytes: new Uint8Array([1, 2, 3]),
      floats: new Float64Array([0.5]),
      bigs: new BigInt64Array([5n]),
      date: new Date(0),
    }
    expect(JSON.parse(jsonOf(value))).toEqual({
      big: '1180591620717411303424',
      map: [['a', [1]]],
      bytes: 'AQID',
      floats: [0.5],
      bigs: ['5'],
      date: '1970-01-01T00:00:00.000Z',
    })
  })
})
