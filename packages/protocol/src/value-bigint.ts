/**
 * Bigints of any size to bytes and back, in linear time: by hexadecimal digits, which engines
 * convert without division.
 */

/** Magnitude of `value` (0 or more), most significant byte first; no bytes for 0. */
export function bytesOfBigint(value: bigint): Uint8Array {
  const digits = value === 0n ? '' : value.toString(16)
  const padded = digits.length % 2 === 0 ? digits : `0${digits}`
  const bytes = new Uint8Array(padded.length / 2)
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = (digitAt(padded, index * 2) << 4) | digitAt(padded, index * 2 + 1)
  }
  return bytes
}

export function bigintOfBytes(bytes: Uint8Array): bigint {
  let digits = '0x0'
  for (let index = 0; index < bytes.length; index += 1) digits += HEX[bytes[index] as number]
  return BigInt(digits)
}

/** Each byte as two digits. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function digitAt(digits: string, index: number): number {
  const code = digits.charCodeAt(index)
  return code < 0x61 ? code - 0x30 : code - 0x61 + 10
}
