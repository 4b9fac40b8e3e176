/**
 * Bytes to values where size counts: everything is read by our own reader. msgpackr, which reads the
 * plain ones in Node, would be a third of all that a page loads.
 */
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
  return new ValueReader(bytes, start, end).readAll()
}
