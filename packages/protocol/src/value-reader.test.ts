import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KvError } from './errors.js'
import { VALUE_BYTES_MAX, VALUE_DEPTH_MAX } from './limits.js'
import { isPlainValue, readPlainValue } from './plain-value.js'
import { ValueReader } from './value-reader.js'
import { decodeValue as decodeInBrowser } from './value-decoder-browser.js'
import { decodeValue } from './value-decoder-node.js'
import { encodeValue, readNumberValue, writeNumberValue } from './values.js'
import { WireWriter } from './wire-writer.js'

function encode(value: unknown): Uint8Array {
  const writer = new WireWriter()
  encodeValue(writer, value)
  return writer.written().slice()
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

const anyBytes = fc
  .anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withSparseArray: true,
    maxDepth: 4,
  })
  .filter((value) => value !== undefined)
  .map(encode)

/** The value, or that there is none. Rethrows any error that is not `PROTOCOL`. */
function outcomeOf(decode: typeof decodeValue, bytes: Uint8Array): { readonly value?: unknown } {
  try {
    return { value: decode(bytes) }
  } catch (error) {
    if (error instanceof KvError && error.code === 'PROTOCOL') return {}
    throw error
  }
}

const damagedBytes = fc
  .tuple(anyBytes, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat())
  .map(([bytes, flips, cut]) => {
    for (const [at, byte] of flips) bytes[at % bytes.length] = byte
    return bytes.subarray(0, cut % 3 === 0 ? cut % bytes.length : bytes.length)
  })

test('decodeValue: text of any length, ASCII or with one other byte anywhere → the same with a view', () => {
  const anyText = fc
    .tuple(fc.nat({ max: 60 }), fc.nat({ max: 60 }), fc.constantFrom('', 'x', 'ä', '日'))
    .map(([before, after, middle]) => `${'a'.repeat(before)}${middle}${'b'.repeat(after)}`)
  fc.assert(
    fc.property(anyText, fc.nat({ max: 3 }), fc.boolean(), (text, offset, isBroken) => {
      const value = encode(text)
      const bytes = Buffer.concat([Buffer.alloc(offset), value, Buffer.alloc(20, 0xff)])
      const end = offset + value.length
      if (isBroken) bytes[end - 1] = 0xff
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      const withView = outcomeOf(() => decodeValue(bytes, offset, end, view), bytes)
      expect(withView).toEqual(outcomeOf(() => decodeValue(bytes, offset, end), bytes))
      expect(isBroken || withView.value === text).toBe(true)
    }),
  )
})

describe('value reader: bytes that no writer wrote', () => {
  test.each([
    ['no bytes', ''],
    ['byte 0xc1', 'c1'],
    ['byte 0xc1 inside', '91 c1'],
    ['a record definition', 'd4 72 40 91 a1 61 01'],
    ['a record definition inside', '91 d4 72 40'],
    ['msgpackr’s extension of a Set', 'd4 73 00 91 01'],
    ['a timestamp extension', 'd6 ff 00 00 00 00'],
    ['an undefined of msgpackr', '91 d4 00 00'],
    ['an unknown kind', '91 d4 6b 7f'],
    ['an extension without a kind', '91 c7 00 6b'],
    ['a mark outside of an array', 'd4 6b 05'],
    ['a mark that is not the first item', '92 01 d4 6b 05'],
    ['a map that ends with a key', '92 d4 6b 05 01'],
    ['an object with a number as key', '81 01 01'],
    ['an object with a date as key', '81 c7 09 6b 03 00 00 00 00 00 00 00 00 01'],
    ['a date beyond its range', '91 c7 09 6b 03 7f e0 00 00 00 00 00 00'],
    ['a date of half a millisecond', '91 c7 09 6b 03 3f e0 00 00 00 00 00 00'],
    ['half an element', '91 d6 6b 16 00 00 00'],
    ['half a UTF-16 unit', '91 d5 6b 04 00'],
    ['a float32', 'ca 00 00 00 00'],
    ['an integer beyond 2^53', 'cf 00 20 00 00 00 00 00 00'],
    ['an integer beyond 2^53 inside', '91 cf 00 20 00 00 00 00 00 00'],
    ['an array that claims 4 G items', 'dd ff ff ff ff 01'],
    ['a map that claims 4 G pairs', 'df ff ff ff ff a1 61 01'],
    ['text that claims 4 GB', 'db ff ff ff ff 61'],
    ['text that ends too early', '91 a2 61'],
    ['text that is not UTF-8', '91 a1 ff'],
    ['a surrogate in UTF-8', '91 a3 ed a0 80'],
    ['text that is followed by more', 'a1 61 61'],
    ['an array that is followed by more', '91 01 01'],
    ['a number that is followed by more', '01 01'],
    ['a boolean that is followed by more', 'c3 c3'],
  ])('value reader: %s → PROTOCOL', (_, hex) => {
    expect(() => decodeValue(bytesOf(hex))).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  test('value reader: nesting beyond the limit → PROTOCOL', () => {
    const deeper = bytesOf(`${'91'.repeat(VALUE_DEPTH_MAX + 1)}01`)
    expect(() => decodeValue(deeper)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
    expect(() => decodeValue(bytesOf('91'.repeat(100_000)))).toThrow(KvError)
    expect(() => decodeValue(bytesOf(`${'81a161'.repeat(50_000)}`))).toThrow(KvError)
  })

  test('value reader: nested claims of huge arrays → PROTOCOL before memory is spent on them', () => {
    const levels = Array.from({ length: 99 }, () => 'dd 00 0f 00 00').join('')
    const bytes = new Uint8Array(VALUE_BYTES_MAX)
    bytes.set(bytesOf(levels))
    bytes.fill(0xc1, 99 * 5)
    expect(() => decodeValue(bytes)).toThrow(KvError)
  })

  test('value reader: random and damaged bytes → a value or PROTOCOL, the same in Node and browser', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damagedBytes), (bytes) => {
        const inNode = outcomeOf(decodeValue, bytes)
        assert.deepStrictEqual(outcomeOf(decodeInBrowser, bytes), inNode)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('plain value: the bytes that msgpackr reads', () => {
  const timestamp = 1_700_000_000_123

  test.each<[string, boolean, unknown]>([
    ['what JSON has, in ASCII', true, { a: [1, -1, 1.5, true, null, 'x'.repeat(300)], b: {} }],
    ['a timestamp', true, [timestamp]],
    ['a negative integer of 64 bits', false, [-timestamp]],
    ['text beyond ASCII', false, ['ä']],
    ['undefined inside', false, [undefined]],
    ['a date', false, [new Date(1)]],
    ['bytes', false, [Uint8Array.of(1)]],
    ['a key that msgpackr renames', false, JSON.parse('{"__proto__":1}')],
  ])('plain value: %s → plain is %s, and it comes back', (_, isPlain, value) => {
    const bytes = encode(value)
    expect(isPlainValue(bytes, 0, bytes.length)).toBe(isPlain)
    assert.deepStrictEqual(decodeValue(bytes), value)
  })

  test('plain value: any bytes that count as plain → read alike by msgpackr and by our reader', () => {
    const plain = fc.json().map((text) => encode(JSON.parse(text)))
    fc.assert(
      fc.property(fc.oneof(plain, damagedBytes, fc.uint8Array({ maxLength: 20 })), (bytes) => {
        if (!isPlainValue(bytes, 0, bytes.length)) return
        assert.deepStrictEqual(
          readPlainValue(bytes, 0, bytes.length),
          new ValueReader(bytes, 0, bytes.length).readAll(),
        )
      }),
      { numRuns: 5_000 },
    )
  })

  test('plain value: bytes that end inside of a header → not plain', () => {
    const bytes = encode({ a: [300, 70_000, 1.5, 'x'.repeat(40), timestamp] })
    for (let end = 0; end < bytes.length; end += 1) {
      expect(isPlainValue(bytes, 0, end)).toBe(false)
      expect(() => decodeValue(bytes, 0, end)).toThrow(KvError)
    }
  })
})

describe('number value: what counters read and write', () => {
  test('number value: any finite number → the bytes of encodeValue, and read back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double({ noNaN: true }), fc.maxSafeInteger()), (value) => {
        const writer = new WireWriter()
        writeNumberValue(writer, value)
        const bytes = writer.written()
        expect(Buffer.compare(bytes, encode(value))).toBe(0)
        const isCounter = Number.isFinite(value)
        // -0 is written as 0.
        expect(readNumberValue(bytes, 0, bytes.length)).toBe(isCounter ? value + 0 : undefined)
      }),
    )
  })

  test.each(['', 'a131', 'c0', 'c2', '9101', 'cc', 'cb00', '0101', 'cf0020000000000000', 'd46b00'])(
    'number value: bytes %s → undefined',
    (hex) => {
      const bytes = bytesOf(hex)
      expect(readNumberValue(bytes, 0, bytes.length)).toBeUndefined()
    },
  )

  test('number value: NaN and the infinities → values, but no counters', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const bytes = encode(value)
      expect(readNumberValue(bytes, 0, bytes.length)).toBeUndefined()
      expect(decodeValue(bytes)).toBe(value)
    }
  })

  test('number value: part of a larger array → only the part is read', () => {
    expect(readNumberValue(bytesOf('c1 05 c1'), 1, 2)).toBe(5)
    expect(readNumberValue(bytesOf('c1 cd 01 00'), 1, 4)).toBe(256)
    expect(readNumberValue(bytesOf('c1 cd 01 00'), 1, 3)).toBeUndefined()
  })
})
