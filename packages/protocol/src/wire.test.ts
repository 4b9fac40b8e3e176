import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { KvError } from './errors.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const ANY = 0xffff_ffff

function written(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter()
  write(writer)
  return writer.written().slice()
}

function hexOf(write: (writer: WireWriter) => void): string {
  return Buffer.from(written(write)).toString('hex')
}

function reading(hex: string): WireReader {
  return new WireReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

const refused = expect.objectContaining({ name: 'KvError', code: 'PROTOCOL' }) as Error

describe('wire: integers', () => {
  test.each<[number, string]>([
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65_535, 'cdffff'],
    [65_536, 'ce00010000'],
    [2 ** 32 - 1, 'ceffffffff'],
    [2 ** 32, 'cf0000000100000000'],
    [2 ** 53 - 1, 'cf001fffffffffffff'],
    [-1, 'ff'],
    [-32, 'e0'],
    [-33, 'd0df'],
    [-128, 'd080'],
    [-129, 'd1ff7f'],
    [-32_768, 'd18000'],
    [-32_769, 'd2ffff7fff'],
    [-(2 ** 31), 'd280000000'],
    [-(2 ** 31) - 1, 'd3ffffffff7fffffff'],
    [-(2 ** 53) + 1, 'd3ffe0000000000001'],
  ])('wire: integer %d → %s, and read back', (value, hex) => {
    expect(hexOf((writer) => writer.integer(value))).toBe(hex)
    expect(reading(hex).integer()).toBe(value)
  })

  test('wire: any safe integer → read back, and alike by another decoder', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = written((writer) => writer.integer(value))
        expect(new WireReader(bytes).integer()).toBe(value)
        expect(Number(unpack(bytes))).toBe(value)
      }),
    )
  })

  test.each([
    'd3ffe0000000000000',
    'cf0020000000000000',
    'd38000000000000000',
    'cfffffffffffffffff',
  ])('wire: integer %s at or beyond 2^53 → refused', (hex) => {
    expect(() => reading(hex).integer()).toThrow(refused)
  })

  test('wire: a longer form than needed → read as well', () => {
    expect(reading('cf0000000000000005').integer()).toBe(5)
    expect(reading('d3ffffffffffffffff').integer()).toBe(-1)
    expect(reading('cc05').unsigned()).toBe(5)
  })

  test('wire: a negative number where none may be → refused', () => {
    expect(() => reading('ff').unsigned()).toThrow(refused)
  })
})

describe('wire: numbers', () => {
  test('wire: any number → read back, -0 as 0', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.integer()), (value) => {
        const bytes = written((writer) => writer.number(value))
        expect(new WireReader(bytes).number()).toBe(value === 0 ? 0 : value)
      }),
    )
  })

  test('wire: an integer beyond 2^53 → a float64', () => {
    expect(hexOf((writer) => writer.number(2 ** 53))).toBe('cb4340000000000000')
  })

  test('wire: a float32 → refused', () => {
    expect(() => reading('ca00000000').number()).toThrow(refused)
  })
})

describe('wire: text', () => {
  // Around each length at which the header grows, with one, two, three and four bytes a character.
  const lengths = [0, 1, 10, 11, 15, 16, 31, 32, 40, 41, 85, 86, 127, 128, 255, 256, 21_845, 65_536]

  test.each(['a', 'é', '€', '😀'])(
    'wire: text of %s in every length → shortest header',
    (character) => {
      for (const length of lengths) {
        for (const text of [character.repeat(length), 'a'.repeat(length) + character]) {
          const bytes = written((writer) => {
            writer.text(text)
            writer.nil()
          })
          const utf8 = Buffer.from(text)
          const headerBytes = bytes.length - 1 - utf8.length
          const shortest = [1, 2, 3, 5][
            [32, 256, 65_536, ANY].findIndex((max) => utf8.length < max)
          ]
          expect(headerBytes).toBe(shortest)
          expect(Buffer.compare(bytes.subarray(headerBytes, -1), utf8)).toBe(0)
          const reader = new WireReader(bytes)
          expect(reader.text(ANY)).toBe(text)
          reader.nil()
          reader.finish()
        }
      }
    },
  )

  test('wire: any text → read back, one by one and as parts of one string', () => {
    const texts = fc.array(fc.string({ unit: 'binary', maxLength: 50 }), { maxLength: 8 })
    fc.assert(
      fc.property(texts, fc.boolean(), (values, shareText) => {
        const bytes = written((writer) => {
          for (const value of values) writer.text(value)
        })
        const reader = new WireReader(bytes, { shareText })
        expect(values.map(() => reader.text(ANY))).toEqual(values)
        reader.finish()
      }),
    )
  })

  test.each(['a161', 'd90161', 'da000161', 'db0000000161'])(
    'wire: text with header %s, the shortest or not → read',
    (hex) => {
      expect(reading(hex).isText()).toBe(true)
      expect(reading(hex).text(1)).toBe('a')
    },
  )

  test('wire: a byte order mark → kept', () => {
    const text = '\ufefftext'
    expect(new WireReader(written((writer) => writer.text(text))).text(ANY)).toBe(text)
  })

  test.each(['a1ff', 'a2c328', 'a3eda080', 'a2c0af', 'a4f4908080', 'a1c3'])(
    'wire: text %s that is not UTF-8 → refused',
    (hex) => {
      expect(() => reading(hex).text(ANY)).toThrow(refused)
      const shared = new WireReader(Buffer.from(hex, 'hex'), { shareText: true })
      expect(() => shared.text(ANY)).toThrow(refused)
    },
  )

  test('wire: more bytes than allowed → refused before they are read', () => {
    expect(reading('a3616263').text(3)).toBe('abc')
    expect(() => reading('a3616263').text(2)).toThrow(/at most 2 are allowed/)
    expect(() => reading('dbffffffff61').text(2_048)).toThrow(/at most 2048 are allowed/)
  })
})

describe('wire: arrays, maps, bytes, extensions', () => {
  test.each([0, 15, 16, 65_535, 65_536])('wire: %d items → header read back', (length) => {
    const items = new Uint8Array(length * 2)
    const array = new WireReader(
      written((writer) => {
        writer.array(length)
        writer.raw(items)
      }),
    )
    expect(array.isArray()).toBe(true)
    expect(array.array(length)).toBe(length)
    const map = new WireReader(
      written((writer) => {
        writer.map(length)
        writer.raw(items)
      }),
    )
    expect(map.map()).toBe(length)
  })

  test.each([0, 1, 255, 256, 65_535, 65_536])('wire: %d bytes → read back', (length) => {
    const value = new Uint8Array(length).fill(7)
    const bytes = written((writer) => {
      writer.binary(value)
      writer.extensionHeader(5, length)
      writer.raw(value)
    })
    const reader = new WireReader(bytes)
    expect(Buffer.compare(reader.binary(length), value)).toBe(0)
    expect(reader.extensionLength(5)).toBe(length)
    reader.finish()
    expect(() => new WireReader(bytes).binary(length - 1)).toThrow(refused)
  })

  test.each([1, 2, 4, 8, 16])('wire: an extension of %d bytes → its own header', (length) => {
    const bytes = written((writer) => {
      writer.extensionHeader(0x6b, length)
      writer.raw(new Uint8Array(length))
    })
    expect(bytes.length).toBe(2 + length)
    expect(new WireReader(bytes).extensionLength(0x6b)).toBe(length)
    expect(() => new WireReader(bytes).extensionLength(0x6c)).toThrow(refused)
  })

  test('wire: claims beyond the end → refused at the header', () => {
    expect(() => reading('ddffffffff00').array(ANY)).toThrow(/ends too early/)
    expect(() => reading('dfffffffff00').map()).toThrow(/ends too early/)
    expect(() => reading('c6ffffffff00').binary(ANY)).toThrow(/ends too early/)
    expect(() => reading('c9ffffffff6b00').extensionLength(0x6b)).toThrow(/ends too early/)
    expect(() => reading('dbffffffff00').text(ANY)).toThrow(/ends too early/)
  })

  test('wire: more items than allowed, or other than due → refused', () => {
    expect(() => reading('93010203').array(2)).toThrow(/at most 2 are allowed/)
    expect(() => reading('93010203').tuple(2)).toThrow(/3 items where 2 are due/)
  })
})

describe('wire: what is due and what is there', () => {
  const reads: Record<string, (reader: WireReader) => unknown> = {
    integer: (reader) => reader.integer(),
    unsigned: (reader) => reader.unsigned(),
    number: (reader) => reader.number(),
    boolean: (reader) => reader.boolean(),
    nil: (reader) => reader.nil(),
    text: (reader) => reader.text(ANY),
    binary: (reader) => reader.binary(ANY),
    array: (reader) => reader.array(ANY),
    map: (reader) => reader.map(),
    extension: (reader) => reader.extensionLength(0),
  }
  const items: Record<string, string> = {
    integer: '01',
    unsigned: 'cd0100',
    number: 'cb3ff8000000000000',
    boolean: 'c3',
    nil: 'c0',
    text: 'a161',
    binary: 'c40161',
    array: '9101',
    map: '810101',
    extension: 'd40000',
  }
  const alsoRead: Record<string, string[]> = {
    integer: ['unsigned'],
    unsigned: ['integer'],
    number: ['integer', 'unsigned'],
  }

  function isRead(due: string, hex: string): boolean {
    try {
      reads[due]?.(reading(hex))
      return true
    } catch (error) {
      if (error instanceof KvError && error.code === 'PROTOCOL') return false
      throw error
    }
  }

  test.each(Object.keys(reads))('wire: %s is due → any other item is refused', (due) => {
    const accepted = Object.keys(items).filter((name) => isRead(due, items[name] ?? ''))
    expect(accepted).toEqual(
      Object.keys(items).filter((name) => name === due || alsoRead[due]?.includes(name)),
    )
    expect(() => reads[due]?.(reading('c1'))).toThrow(refused)
  })

  test.each(Object.keys(reads))('wire: %s is due, the bytes end → refused', (due) => {
    const bytes = Buffer.from(items[due] ?? '', 'hex')
    for (let end = 0; end < bytes.length; end += 1) {
      expect(() => reads[due]?.(new WireReader(bytes.subarray(0, end)))).toThrow(refused)
      // The end of the part that is read, not the end of the memory.
      expect(() => reads[due]?.(new WireReader(bytes, { start: 0, end }))).toThrow(refused)
    }
    expect(isRead(due, items[due] ?? '')).toBe(true)
  })

  test('wire: bytes after the end → refused', () => {
    const reader = reading('01 02')
    reader.integer()
    expect(reader.atEnd).toBe(false)
    expect(() => reader.finish()).toThrow(refused)
  })

  test('wire: nil or something → only nil is skipped', () => {
    const reader = reading('c0 05')
    expect(reader.skipNil()).toBe(true)
    expect(reader.skipNil()).toBe(false)
    expect(reader.integer()).toBe(5)
    expect(() => reader.skipNil()).toThrow(refused)
  })
})

describe('wire: the writer’s memory', () => {
  test('wire: headroom → left free, the items follow it', () => {
    const writer = new WireWriter(0, 10)
    writer.integer(5)
    expect(writer.position).toBe(11)
    expect([...writer.written(10)]).toEqual([5])
  })

  test('wire: growth in the middle of items → nothing is lost', () => {
    const writer = new WireWriter()
    for (let index = 0; index < 3_000; index += 1) writer.text(`item ${index}`)
    const reader = new WireReader(writer.written())
    for (let index = 0; index < 3_000; index += 1) expect(reader.text(ANY)).toBe(`item ${index}`)
    reader.finish()
  })
})
