/**
 * Numbers as values: an integer in its shortest form where it is one, else a float64. Apart from
 * the other values because the node's counters read and write only these.
 */
import type { WireWriter } from './wire-writer.js'

/** Appends what `encodeValue` appends for a number. */
export function writeNumberValue(writer: WireWriter, value: number): void {
  writer.number(value)
}

/** The finite number stored in `bytes[start, end)`; `undefined` if that is no such value. */
export function readNumberValue(bytes: Uint8Array, start: number, end: number): number | undefined {
  const value = readNumber(bytes, start, end)
  return value !== undefined && Number.isFinite(value) ? value : undefined
}

/** Like `readNumberValue`, but NaN and the infinities are numbers too. */
export function readNumber(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (start >= end) return undefined
  const head = bytes[start] as number
  if (head < 0x80) return start + 1 === end ? head : undefined
  if (head >= 0xe0) return start + 1 === end ? head - 0x100 : undefined
  const size = PAYLOAD_BYTES[head]
  if (size === undefined || start + 1 + size !== end) return undefined
  for (let index = 0; index < size; index += 1) payload[index] = bytes[start + 1 + index] as number
  return numberOf(head)
}

/** Bytes that follow the head. */
const PAYLOAD_BYTES: Readonly<Record<number, number>> = {
  0xcb: 8,
  0xcc: 1,
  0xcd: 2,
  0xce: 4,
  0xcf: 8,
  0xd0: 1,
  0xd1: 2,
  0xd2: 4,
  0xd3: 8,
}

/** A view of its own for each number would cost more than to copy up to eight bytes. */
const view = new DataView(new ArrayBuffer(8))
const payload = new Uint8Array(view.buffer)

function numberOf(head: number): number | undefined {
  switch (head) {
    case 0xcc:
      return view.getUint8(0)
    case 0xcd:
      return view.getUint16(0)
    case 0xce:
      return view.getUint32(0)
    case 0xcf:
      return safe(view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4))
    case 0xd0:
      return view.getInt8(0)
    case 0xd1:
      return view.getInt16(0)
    case 0xd2:
      return view.getInt32(0)
    case 0xd3:
      return safe(view.getInt32(0) * 0x1_0000_0000 + view.getUint32(4))
    default:
      return view.getFloat64(0)
  }
}

/** An integer beyond 2^53 is no number that was ever written. */
function safe(integer: number): number | undefined {
  return Number.isSafeInteger(integer) ? integer : undefined
}
