import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import * as protocol from './index.js'
import { VALUE_BYTES_MAX, VALUE_DEPTH_MAX, WireWriter } from './index.js'

type Protocol = typeof protocol

function encode(value: unknown, build: Protocol = protocol): Uint8Array {
  const writer = new build.WireWriter()
  build.encodeValue(writer, value)
  return writer.written().slice()
}

function roundTrip(value: unknown): unknown {
  return protocol.decodeValue(encode(value))
}

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { value }
  return value
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', minLength: 60, maxLength: 80 }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.constantFrom('\ufeffbyte order mark', '__proto__', 'constructor', 'toJSON', ''),
)

const typedArrays = fc.oneof(
  fc.uint8Array(),
  fc.int8Array(),
  fc.uint8ClampedArray(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int32Array(),
  fc.uint32Array(),
  fc.float32Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
)

const { anyValue } = fc.letrec<{ anyValue: unknown }>((tie) => {
  const inner = tie('anyValue')
  const leaf = fc.oneof(
    fc.constantFrom(null, undefined, true, false),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double().map((value) => (value === 0 ? 0 : value)),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }),
    anyText,
    // Node.js 20 does not take two invalid Dates for equal: they have a test of their own.
    fc.date({ noInvalidDate: true }),
    typedArrays,
  )
  const pairs = fc.array(fc.tuple(inner, inner), { maxLength: 5 })
  return {
    anyValue: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(inner, { maxLength: 20 }),
      fc.array(fc.tuple(anyText, inner), { maxLength: 20 }).map((fields) => objectOf(fields)),
      pairs.map((entries) => new Map(entries)),
      fc.array(inner, { maxLength: 5 }).map((members) => new Set(members)),
    ),
  }
})

/** With own fields for names like `__proto__` too. */
function objectOf(fields: readonly (readonly [string, unknown])[]): object {
  return Object.fromEntries(fields)
}

const storable = anyValue.filter((value) => value !== undefined)

describe('values: what is carried', () => {
  test('values: any value → comes back equal', () => {
    fc.assert(
      fc.property(storable, (value) => assert.deepStrictEqual(roundTrip(value), value)),
      { numRuns: 400 },
    )
  })

  test.each([
    ['-0', -0, 0],
    ['-0 inside', [-0], [0]],
    // eslint-disable-next-line no-sparse-arrays
    ['holes', [1, , 3], [1, undefined, 3]],
    ['a null-prototype object', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [
      'a class instance',
      new (class Point {
        x = 1
        #y = 2
        get y(): number {
          return this.#y
        }
        toJSON(): string {
          return 'not asked'
        }
      })(),
      { x: 1 },
    ],
    ['an instance without fields', new (class Empty {})(), {}],
    ['symbol keys', { a: 1, [Symbol('b')]: 2 }, { a: 1 }],
    ['a Buffer', Buffer.from([1, 2]), Uint8Array.of(1, 2)],
    ['a Buffer inside', [Buffer.from([1, 2])], [Uint8Array.of(1, 2)]],
    [
      'a view with an offset',
      new Int16Array(Int16Array.of(1, 2, 3).buffer, 2),
      Int16Array.of(2, 3),
    ],
    ['a subclass of Map', new (class extends Map<number, number> {})([[1, 2]]), new Map([[1, 2]])],
    ['an array of another realm', runInNewContext('[1, { a: 2 }]'), [1, { a: 2 }]],
    [
      'a Map of another realm',
      runInNewContext('new Map([[1, new Date(5)]])'),
      new Map([[1, new Date(5)]]),
    ],
    ['bytes of another realm', runInNewContext('new Uint8Array([1, 2])'), Uint8Array.of(1, 2)],
  ])('values: %s → its plain form comes back', (_, value, expected) => {
    assert.deepStrictEqual(roundTrip(value), expected)
  })

  test('values: objects with awkward own keys → same keys, and no prototype is touched', () => {
    const value = JSON.parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toJSON":2,"hasOwnProperty":3}',
    ) as object
    const result = roundTrip([value]) as [object]
    assert.deepStrictEqual(result[0], value)
    expect(Object.getPrototypeOf(result[0])).toBe(Object.prototype)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('values: an invalid Date → comes back invalid', () => {
    const [date] = roundTrip([new Date(Number.NaN)]) as [Date]
    expect(date).toBeInstanceOf(Date)
    expect(date.getTime()).toBeNaN()
  })

  test('values: an object met twice without a cycle → written twice', () => {
    const shared = { a: [1] }
    assert.deepStrictEqual(roundTrip([shared, { shared }, new Set([shared])]), [
      { a: [1] },
      { shared: { a: [1] } },
      new Set([{ a: [1] }]),
    ])
  })

  test('values: maps of more than 65,535 keys → come back', () => {
    const value = objectOf(Array.from({ length: 70_000 }, (_, index) => [`k${index}`, index]))
    assert.deepStrictEqual(roundTrip(value), value)
  })

  test('values: large bigints and large text with lone surrogates → come back', () => {
    for (const bits of [63n, 64n, 65n, 70_001n]) {
      for (const value of [2n ** bits, 2n ** bits - 1n, -(2n ** bits), 1n - 2n ** bits]) {
        expect(roundTrip(value)).toBe(value)
      }
    }
    const text = '\udc00\ud800a'.repeat(5_000)
    expect(roundTrip(text)).toBe(text)
    expect(roundTrip({ [text]: text })).toEqual({ [text]: text })
  })

  test('values: bytes → fresh memory, never a Buffer and never a view', () => {
    const frame = Buffer.concat([Buffer.alloc(3), encode([Uint8Array.of(7), Float64Array.of(1.5)])])
    const [bytes, doubles] = protocol.decodeValue(frame, 3) as [Uint8Array, Float64Array]
    frame.fill(0)
    expect(bytes).toEqual(Uint8Array.of(7))
    expect(bytes.constructor).toBe(Uint8Array)
    expect(bytes.buffer.byteLength).toBe(1)
    expect(doubles).toEqual(Float64Array.of(1.5))
    const alone = protocol.decodeValue(Buffer.from(encode(Uint8Array.of(7)))) as Uint8Array
    expect(alone.constructor).toBe(Uint8Array)
    expect(alone.buffer.byteLength).toBe(1)
  })

  test('values: nesting up to the limit → comes back', () => {
    assert.deepStrictEqual(roundTrip(nested(VALUE_DEPTH_MAX)), nested(VALUE_DEPTH_MAX))
    assert.deepStrictEqual(roundTrip([new Date(1), nested(VALUE_DEPTH_MAX - 1)]), [
      new Date(1),
      nested(VALUE_DEPTH_MAX - 1),
    ])
  })

  test('values: a part of a message → read without its surroundings', () => {
    for (const value of ['text', 5, -70_000, 1.5, { a: 1 }, [undefined], Uint8Array.of(1)]) {
      const bytes = encode(value)
      const frame = Uint8Array.of(0xc1, 0x01, ...bytes, 0x02)
      assert.deepStrictEqual(protocol.decodeValue(frame, 2, 2 + bytes.length), value)
    }
  })
})

describe('values: what is refused', () => {
  const cycle: unknown[] = []
  cycle.push({ cycle })

  test.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /store null/],
    ['a function', () => 1, /kind function cannot be stored/],
    ['a symbol', Symbol('s'), /kind symbol cannot be stored/],
    ['a promise', Promise.resolve(1), /await it first/],
    ['a cycle', cycle, /cannot contain itself/],
    ['too deep nesting', nested(VALUE_DEPTH_MAX + 1), /at most 100 deep/],
    ['a RegExp', /x/, /source and flags/],
    ['an Error', new RangeError('x'), /name and message/],
    ['an Error with fields', Object.assign(new Error('x'), { code: 1 }), /name and message/],
    ['an ArrayBuffer', new ArrayBuffer(1), /wrap it in a Uint8Array/],
    ['a DataView', new DataView(new ArrayBuffer(1)), /Uint8Array of the same bytes/],
    ['a WeakMap', new WeakMap(), /store a Map/],
    ['a boxed string', Object('x'), /store the string/],
    ['a boxed number', Object(1), /store the number/],
    ['an URL', new URL('http://example.org'), /kind URL cannot be stored; it has no fields/],
    ['an iterator', [1].values(), /kind Array Iterator cannot be stored; it has no fields/],
    ['a generator', (function* empty() {})(), /kind Generator cannot be stored; it has no fields/],
  ])(
    'values: %s → TypeError at the call, alone and inside, and nothing is written',
    (_, value, message) => {
      for (const carrier of [
        value,
        [1, value],
        { value },
        new Map([[value, 1]]),
        new Set([[value]]),
      ]) {
        // Inside, undefined is a value like any other.
        if (carrier !== value && value === undefined) continue
        const writer = new WireWriter()
        writer.integer(5)
        expect(() => protocol.encodeValue(writer, carrier)).toThrow(TypeError)
        expect(() => protocol.encodeValue(writer, carrier)).toThrow(message)
        expect(writer.written()).toEqual(Buffer.of(5))
      }
    },
  )

  test('values: more bytes than a value may have → VALUE_TOO_LARGE, and nothing is written', () => {
    const writer = new WireWriter()
    const tooLarge = [
      'x'.repeat(VALUE_BYTES_MAX),
      'x'.repeat(VALUE_BYTES_MAX + 1),
      new Uint8Array(VALUE_BYTES_MAX),
      [new Float64Array(VALUE_BYTES_MAX / 8)],
      Array.from({ length: 600_000 }, () => 1_000),
    ]
    for (const value of tooLarge) {
      expect(() => protocol.encodeValue(writer, value)).toThrow(
        expect.objectContaining({ code: 'VALUE_TOO_LARGE', outcome: 'not-applied' }),
      )
      expect(writer.position).toBe(0)
    }
  })

  test('values: few objects on ever more paths → refused for size, not written for ever', () => {
    let value: unknown = 'leaf'
    for (let level = 0; level < 60; level += 1) value = [value, value]
    expect(() => encode(value)).toThrow(expect.objectContaining({ code: 'VALUE_TOO_LARGE' }))
  })
})

describe('values: code of the caller that runs meanwhile', () => {
  test('values: a getter → runs once', () => {
    let calls = 0
    const value = {
      get a(): number {
        calls += 1
        return calls
      },
    }
    assert.deepStrictEqual(roundTrip(value), { a: 1 })
    expect(calls).toBe(1)
  })

  test('values: a getter throws → its error, nothing written, the next value is whole', () => {
    const writer = new WireWriter()
    const failing = {
      before: 'x'.repeat(100),
      get a(): never {
        throw new RangeError('mine')
      },
    }
    expect(() => protocol.encodeValue(writer, [1, failing])).toThrow(new RangeError('mine'))
    expect(writer.position).toBe(0)
    protocol.encodeValue(writer, { a: new Date(1) })
    assert.deepStrictEqual(protocol.decodeValue(writer.written()), { a: new Date(1) })
  })

  test('values: a getter encodes to the same writer → both values are whole, one after another', () => {
    const writer = new WireWriter()
    let split = 0
    protocol.encodeValue(writer, [
      new Date(1),
      {
        get inner(): string {
          protocol.encodeValue(writer, { second: new Set([1]) })
          split = writer.position
          return 'outer'
        },
      },
    ])
    const bytes = writer.written()
    assert.deepStrictEqual(protocol.decodeValue(bytes, 0, split), { second: new Set([1]) })
    assert.deepStrictEqual(protocol.decodeValue(bytes, split), [new Date(1), { inner: 'outer' }])
  })

  test('values: a getter changes what is walked → what was counted is written', () => {
    const array: unknown[] = [1, 2, 3]
    const map = new Map<unknown, unknown>()
    const shrinking = {
      get a(): number {
        array.length = 1
        map.clear()
        return 1
      },
    }
    array[0] = shrinking
    map.set('x', shrinking).set('y', 2)
    assert.deepStrictEqual(roundTrip(array), [{ a: 1 }, undefined, undefined])
    map.set('x', shrinking).set('y', 2)
    assert.deepStrictEqual(
      roundTrip(map),
      new Map<unknown, unknown>([
        ['x', { a: 1 }],
        ['y', 2],
      ]),
    )
  })
})

describe('values: Node and browser', () => {
  let browser: Protocol

  beforeAll(async () => {
    vi.stubGlobal('Buffer', undefined)
    vi.resetModules()
    browser = await import('./browser.js')
    vi.unstubAllGlobals()
  })

  test('values: both entries → the same names', () => {
    expect(Object.keys(browser).toSorted()).toEqual(Object.keys(protocol).toSorted())
  })

  test('values: any value → the same bytes in both, and each reads the other’s', () => {
    fc.assert(
      fc.property(storable, (value) => {
        const inNode = encode(value)
        const inBrowser = encode(value, browser)
        assert.equal(Buffer.compare(inBrowser, inNode), 0)
        assert.deepStrictEqual(browser.decodeValue(inNode), value)
        assert.deepStrictEqual(protocol.decodeValue(Buffer.from(inBrowser)), value)
      }),
      { numRuns: 200 },
    )
  })

  test('values: damaged bytes → the same answer in both', () => {
    fc.assert(
      fc.property(storable, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, flip) => {
        const bytes = encode(value)
        const index = at % bytes.length
        bytes[index] = (bytes[index] ?? 0) ^ flip
        assert.deepStrictEqual(outcomeOf(browser, bytes), outcomeOf(protocol, bytes))
      }),
      { numRuns: 400 },
    )
  })

  function outcomeOf(build: Protocol, bytes: Uint8Array): unknown {
    try {
      return { value: build.decodeValue(bytes) }
    } catch (error) {
      return { error: error instanceof build.KvError ? error.code : error }
    }
  }
})
