/**
 * Keys of the system: what a shard keeps beside the keys of its users, in the same log and state, so
 * that it is durable and moves along like these.
 *
 * In bytes such a key begins with 0xFF, which no UTF-8 does: no user can name one, and it is behind
 * every user's key. Here, where keys are strings, the lone surrogate U+DFFF stands for that byte;
 * `compareKeys` sorts it behind all else, and `assertKey` refuses it. They are not listed, not
 * counted and not cleared.
 *
 * A system key ends with a slash and the user's key that it belongs to, and is in the same shard.
 */
import { protocolError } from './errors.js'
import { allocateBytes, readUtf8, writeUtf8 } from './utf8.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** Below it is every user's key. */
export const SYSTEM_KEYS_START = '\udfff'
export const SYSTEM_KEY_BYTE = 0xff

/** Longest part of a system key in front of the user's key, in bytes. */
export const SYSTEM_KEY_OVERHEAD_BYTES = 32

const START_UNIT = 0xdfff

export function isSystemKey(key: string): boolean {
  return key.charCodeAt(0) === START_UNIT
}

/** The user's key that a system key belongs to. */
export function ownerOf(systemKey: string): string {
  return systemKey.slice(systemKey.indexOf('/') + 1)
}

/** Who waits for the lock: the numbers of the first and the last ticket. */
export function lockQueueKey(lock: string): string {
  return `${SYSTEM_KEYS_START}queue/${lock}`
}

/** One who waits for the lock. Ends when its time is over: it has to be renewed. */
export function lockWaiterKey(lock: string, ticket: number): string {
  return `${SYSTEM_KEYS_START}waiter:${ticket}/${lock}`
}

/** Writes a key of either kind: a text, or as binary the bytes of a system key. */
export function writeKeyName(writer: WireWriter, key: string): void {
  if (!isSystemKey(key)) {
    writer.text(key)
    return
  }
  const bytes = allocateBytes(3 * key.length)
  bytes[0] = SYSTEM_KEY_BYTE
  writer.binary(bytes, 0, writeUtf8(bytes, key.slice(1), 1))
}

/** Reads what `writeKeyName` wrote; the user's part has at most `bytesMax` bytes. */
export function readKeyName(reader: WireReader, bytesMax: number): string {
  if (reader.isText()) return reader.text(bytesMax)
  const length = reader.binaryLength(bytesMax + SYSTEM_KEY_OVERHEAD_BYTES)
  const start = reader.position - length
  if (length < 2 || reader.bytes[start] !== SYSTEM_KEY_BYTE) throw protocolError('no key')
  return SYSTEM_KEYS_START + readUtf8(reader.bytes, start + 1, reader.position)
}
