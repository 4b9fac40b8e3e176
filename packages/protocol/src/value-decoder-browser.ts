/**
 * Bytes to values where size counts: everything nested is read by our own reader. msgpackr, which
 * reads the plain ones in Node, would be a third of all that a page loads.
 */
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
  return new ValueReader(bytes, start, end).readAll()
}
