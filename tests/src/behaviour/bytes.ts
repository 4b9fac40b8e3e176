/**
 * Bytes as tests need them, where there is no `Buffer`.
 */
const encoder = new TextEncoder()

/** The order of keys: that of their UTF-8 bytes. */
export function inUtf8(left: string, right: string): number {
  return compareBytes(encoder.encode(left), encoder.encode(right))
}

/** Faster than `toEqual` where there are very many. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/** Bytes without a pattern, the same in every run (xorshift). */
export function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = 0x9e37_79b9
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[index] = state
  }
  return bytes
}
