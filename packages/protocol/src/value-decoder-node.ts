/**
 * Bytes to values where speed counts more than size: plain values are read by msgpackr.
 */
import { isPlainValue, readPlainValue } from './plain-value.js'
import { decodeValueWith } from './value-decoder.js'
import { ValueReader } from './value-reader.js'

/**
 * The value that `bytes[start, end)` hold. Keeps no view of `bytes`. Throws `PROTOCOL` for what no
 * `encodeValue` wrote.
 */
export function decodeValue(
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.length,
): unknown {
  return decodeValueWith(readNested, bytes, start, end)
}

function readNested(bytes: Uint8Array, start: number, end: number): unknown {
  if (isPlainValue(bytes, start, end)) return readPlainValue(bytes, start, end)
  return new ValueReader(bytes, start, end).readAll()
}
