/**
 * Cursors: bytes as text that can be stored anywhere, and back. Base64url without padding, opaque to
 * users; MessagePack of four fields, the first of which says what kind of cursor it is. Pure.
 */
import { KvError, WireReader } from '@kv/protocol'

export function toOpaqueText(bytes: Uint8Array): string {
  const characters = Array.from(bytes, (byte) => String.fromCharCode(byte))
  return btoa(characters.join('')).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/**
 * What `read` makes of the fields behind the first. Throws `INVALID_CURSOR` for what is no cursor of
 * this kind, and `TypeError` for what is no text; `name` is what users call it.
 */
export function readCursor<T>(
  name: string,
  cursor: unknown,
  kind: number,
  read: (reader: WireReader) => T,
): T {
  if (typeof cursor !== 'string') throw new TypeError(`${name} is a string, not ${typeof cursor}`)
  try {
    const characters = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'))
    const reader = new WireReader(Uint8Array.from(characters, (unit) => unit.charCodeAt(0)))
    reader.tuple(4)
    if (reader.unsigned() !== kind) throw new Error('of another version')
    const found = read(reader)
    reader.finish()
    return found
  } catch (cause) {
    throw invalidCursor('it is not one this version of the client made', cause)
  }
}

export function invalidCursor(why: string, cause?: unknown): KvError {
  const message = `the cursor does not fit: ${why}; begin again without it`
  return new KvError('INVALID_CURSOR', message, { cause })
}

/** FNV-1a, 32 bit, over the UTF-16 units. */
export function hashOfText(text: string): number {
  let hash = 0x811c_9dc5
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193)
  }
  return hash >>> 0
}
