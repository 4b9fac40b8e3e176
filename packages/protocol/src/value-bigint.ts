/**
 * Bigints of any size to bytes and back, in linear time: by hexadecimal digits, which engines
 * convert without division.
 */

/** Magnitude of `value` (0 or more), most significant byte first; no bytes for 0. */
export function bytesOfBigint(value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array(0)
  const digits = value.toString(16)
  const padded = digits.length % 2 === 0 ? digits : `0${digits}`
  const bytes = new Uint8Array(padded.length / 2)
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = Number.parseInt(padded.slice(index * 2, index * 2 + 2), 16)
  }
  return bytes
}

export function bigintOfBytes(bytes: Uint8Array): bigint {
  let digits = '0x0'
  for (const byte of bytes) digits += byte.toString(16).padStart(2, '0')
  return BigInt(digits)
}
