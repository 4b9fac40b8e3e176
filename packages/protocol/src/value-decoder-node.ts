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
  return number === undefined ? readNested(bytes, start, end) : number
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
