/**
 * Values to bytes and back: whatever `docs/protocol.md` lists comes back exactly, in Node and in
 * browsers alike, and nothing else gets in.
 *
 * Primitives, text and bytes are MessagePack items on their own and take the direct path here.
 * Everything nested is walked by `ValueWriter`, and read by msgpackr if it is plain, else by
 * `ValueReader`.
 */
import { protocolError } from './errors.js'
import { isWellFormed } from './keys.js'
import { VALUE_BYTES_MAX } from './limits.js'
import { isPlainValue, readPlainValue } from './plain-value.js'
import { readUtf8 } from './utf8.js'
import { readNumber } from './value-number.js'
import { ValueReader, copyOf } from './value-reader.js'
import { ValueWriter, valueTooLarge } from './value-writer.js'
import { WireWriter } from './wire-writer.js'

/**
 * Appends `value` as encoded. Throws `TypeError` for what cannot be carried, and whatever a getter
 * of the value throws; `VALUE_TOO_LARGE` beyond `VALUE_BYTES_MAX`. Then nothing was appended.
 */
export function encodeValue(writer: WireWriter, value: unknown): void {
  const start = writer.position
  if (typeof value === 'string' && value.length <= VALUE_BYTES_MAX && isWellFormed(value)) {
    writer.text(value)
  } else if (typeof value === 'number') {
    writer.number(value)
  } else if (typeof value === 'boolean') {
    writer.boolean(value)
  } else if (value === null) {
    writer.nil()
  } else if (value instanceof Uint8Array) {
    writer.binary(value)
  } else if (value === undefined) {
    throw new TypeError('undefined is not a value; store null, or delete the key')
  } else {
    encodeTree(writer, value)
  }
  if (writer.position - start > VALUE_BYTES_MAX) {
    writer.position = start
    throw valueTooLarge()
  }
}

export { readNumberValue, writeNumberValue } from './value-number.js'

/** Memory that is kept from one value to the next is at most this much. */
const SPARE_BYTES_MAX = 65_536

let spare: WireWriter | undefined

/**
 * By way of a writer of its own: while the value is walked its getters may run, and encode
 * something else to the same `writer`, or throw.
 */
function encodeTree(writer: WireWriter, value: unknown): void {
  const tree = spare ?? new WireWriter()
  spare = undefined
  try {
    new ValueWriter(tree).write(value)
    writer.raw(tree.bytes, 0, tree.position)
  } finally {
    tree.position = 0
    if (tree.bytes.length <= SPARE_BYTES_MAX) spare = tree
  }
}

/**
 * The value that `bytes[start, end)` hold. Keeps no view of `bytes`. Throws `PROTOCOL` for what no
 * `encodeValue` wrote.
 */
export function decodeValue(
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.length,
): unknown {
  if (start >= end) throw protocolError('a value of no bytes')
  const head = bytes[start] as number
  const headerBytes = headerBytesOf(head)
  if (headerBytes > 0) {
    const contentStart = start + headerBytes
    if (contentStart + lengthAt(bytes, start, headerBytes) !== end) {
      throw protocolError('a value is shorter or longer than it says')
    }
    if (head >= 0xc4 && head <= 0xc6) return copyOf(bytes.subarray(contentStart, end))
    return readUtf8(bytes, contentStart, end)
  }
  const number = readNumber(bytes, start, end)
  if (number !== undefined) return number
  if (isPlainValue(bytes, start, end)) return readPlainValue(bytes, start, end)
  return new ValueReader(bytes, start, end).readAll()
}

/** Bytes in front of the content of a text or binary item; 0 for any other item. */
function headerBytesOf(head: number): number {
  if ((head & 0xe0) === 0xa0) return 1
  if (head === 0xd9 || head === 0xc4) return 2
  if (head === 0xda || head === 0xc5) return 3
  if (head === 0xdb || head === 0xc6) return 5
  return 0
}

/** Length that such an item claims. */
function lengthAt(bytes: Uint8Array, start: number, headerBytes: number): number {
  if (headerBytes === 1) return (bytes[start] as number) & 0x1f
  let length = 0
  for (let index = start + 1; index < start + headerBytes; index += 1) {
    length = length * 0x100 + (bytes[index] ?? 0)
  }
  return length
}
