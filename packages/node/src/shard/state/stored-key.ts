/**
 * How a key lies in LMDB: as its UTF-8 bytes, whose order is that of `compareKeys`. A key of the
 * system begins with a byte that no UTF-8 has, and is behind all others.
 */
import { isSystemKey, SYSTEM_KEY_BYTE, SYSTEM_KEYS_START, utf8Length } from '@kv/protocol'

export function storedKeyBytes(key: string): number {
  return isSystemKey(key) ? 1 + utf8Length(key.slice(1)) : Buffer.byteLength(key)
}

/** Returns where the key ends. */
export function writeStoredKey(key: string, target: Buffer, position: number): number {
  if (!isSystemKey(key)) return position + target.write(key, position)
  target[position] = SYSTEM_KEY_BYTE
  return position + 1 + target.write(key.slice(1), position + 1)
}

export function readStoredKey(source: Buffer, start: number, end: number): string {
  if (source[start] !== SYSTEM_KEY_BYTE) return source.toString('utf8', start, end)
  return SYSTEM_KEYS_START + source.toString('utf8', start + 1, end)
}
