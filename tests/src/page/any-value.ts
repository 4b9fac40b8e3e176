/**
 * Any value that kv carries. The same seed gives the same values in Node.js and in a page, so each
 * can check what the other wrote.
 */
import fc from 'fast-check'

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary', minLength: 30, maxLength: 80 }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  // Not 'constructor': what compares strictly takes an own one for the constructor.
  fc.constantFrom('', '\ufeffmark', '__proto__', 'toString'),
)

const leaf = fc.oneof(
  fc.constantFrom(null, undefined, true, false, NaN, Infinity, -Infinity),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double().map((value) => (value === 0 ? 0 : value)),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
  text,
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
  fc.int16Array(),
  fc.float32Array({ noNaN: true }),
  fc.float64Array({ noNaN: true }),
  fc.bigInt64Array(),
)

const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => {
  const inner = tie('value')
  const pairs = fc.array(fc.tuple(inner, inner), { maxLength: 4 })
  return {
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(inner, { maxLength: 8 }),
      fc.array(fc.tuple(text, inner), { maxLength: 8 }).map((fields) => Object.fromEntries(fields)),
      pairs.map((entries) => new Map(entries)),
      fc.array(inner, { maxLength: 4 }).map((members) => new Set(members)),
    ),
  }
})

export function valuesOf(seed: number, count: number): readonly unknown[] {
  const storable = anyValue.filter((value) => value !== undefined)
  return fc.sample(storable, { seed, numRuns: count })
}
