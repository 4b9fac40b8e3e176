/**
 * What JavaScript has and MessagePack has not: one extension type, and a number for each kind.
 *
 * The first byte of an extension's payload is the kind, the rest its data. A Map or a Set is an
 * array whose first item is an extension of the kind alone, a *mark*: nothing is nested in a
 * payload, so any decoder of MessagePack can walk over a value. Numbers are never reused.
 */

/** The only MessagePack extension type in a value. */
export const VALUE_EXTENSION = 0x6b

export const VALUE_KINDS = {
  undefined: 0,
  /** Magnitude, most significant byte first. */
  bigint: 1,
  negativeBigint: 2,
  /** Milliseconds as a float64; NaN is the invalid Date. */
  date: 3,
  /** UTF-16 units, least significant byte first: text with a lone surrogate. */
  utf16: 4,
  /** Mark of an array that goes on `key, value, key, value, …`. */
  map: 5,
  /** Mark of an array that goes on with the members. */
  set: 6,
} as const

/**
 * Typed arrays by kind. Elements have their least significant byte first, as in the memory of
 * every platform we run on, so they are copied as they are. A Uint8Array is MessagePack's binary.
 */
export const TYPED_ARRAYS: ReadonlyMap<number, TypedArrayConstructor> = new Map<
  number,
  TypedArrayConstructor
>([
  [16, Int8Array],
  [17, Uint8ClampedArray],
  [18, Int16Array],
  [19, Uint16Array],
  [20, Int32Array],
  [21, Uint32Array],
  [22, Float32Array],
  [23, Float64Array],
  [24, BigInt64Array],
  [25, BigUint64Array],
])

/** Kind of a typed array by its class's name. */
export const TYPED_ARRAY_KINDS: ReadonlyMap<string, number> = new Map(
  Array.from(TYPED_ARRAYS, ([kind, constructor]) => [constructor.name, kind]),
)

interface TypedArrayConstructor {
  new (buffer: ArrayBuffer): ArrayBufferView
  readonly name: string
  readonly BYTES_PER_ELEMENT: number
}
