/**
 * Bytes as text that can be stored anywhere, and back: base64url, without padding. Pure.
 */
export function toOpaqueText(bytes: Uint8Array): string {
  const characters = Array.from(bytes, (byte) => String.fromCharCode(byte))
  return btoa(characters.join('')).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** Throws for what is no such text. */
export function fromOpaqueText(text: string): Uint8Array {
  const characters = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(characters, (unit) => unit.charCodeAt(0))
}

/** FNV-1a, 32 bit, over the UTF-16 units. */
export function hashOfText(text: string): number {
  let hash = 0x811c_9dc5
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193)
  }
  return hash >>> 0
}
