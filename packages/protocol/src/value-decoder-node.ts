/**
 * Bytes to values where speed counts more than size: text, bytes and numbers on their own take the
 * direct path here, and what is nested but plain is read by msgpackr. `value-decoder-browser.ts` is
 * the same in small.
 */
import { protocolError } from './errors.js'
import { isPlainValue, readPlainValue } from './plain-value.js'
import { readUtf8 } from './utf8.js'
import { readNumber } from './value-number.js'
import { copyOf, ValueReader } from './value-reader.js'

/**
 * The value that `bytes[start, end)` hold. Keeps no view of `bytes`. Throws `PROTOCOL` for what no
 * `encodeValue` wrote. With a `view` of all of `bytes` text is read faster.
 */
export function decodeValue(
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.length,
  view?: DataView,
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
    if (view !== undefined && hasLatin1(bytes) && isAscii(view, contentStart, end)) {
      return bytes.latin1Slice(contentStart, end)
    }
    return readUtf8(bytes, contentStart, end)
  }
  const number = readNumber(bytes, start, end)
  return number === undefined ? readNested(bytes, start, end) : number
}

interface NodeBytes extends Uint8Array {
  latin1Slice(start: number, end: number): string
}

function hasLatin1(bytes: Uint8Array): bytes is NodeBytes {
  return 'latin1Slice' in bytes
}

/** Sixteen bytes at a time: for text of some length three times as fast as by the byte. */
function isAscii(view: DataView, start: number, end: number): boolean {
  let index = start
  for (; index + 16 <= end; index += 16) {
    const first = view.getInt32(index) | view.getInt32(index + 4)
    const last = view.getInt32(index + 8) | view.getInt32(index + 12)
    if (((first | last) & 0x8080_8080) !== 0) return false
  }
  for (; index < end; index += 1) {
    if (view.getUint8(index) > 127) return false
  }
  return true
}

function readNested(bytes: Uint8Array, start: number, end: number): unknown {
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
