/**
 * How an entry lies in LMDB: `[u32 checksum][f64 version][f64 expiry][value bytes]`.
 *
 * LMDB has no checksums of its own, so every read verifies this one: damage is reported, never
 * served (P8). The index of expiring entries is keyed by `[f64 expiry, big-endian][key]`, which
 * sorts by time because positive doubles sort as their bytes do.
 */
import { crc32 } from 'node:zlib'
import type { Held, LiveHeld } from '../held.js'
import { readStoredKey, storedKeyBytes, writeStoredKey } from './stored-key.js'

export const STORED_HEADER_BYTES = 20
const CHECKED_OFFSET = 4
const EXPIRY_OFFSET = 12
export const INDEX_TIME_BYTES = 8
export const INDEX_VALUE_BYTES = 1

/** The stored state is not what was written. */
export class StateDamage extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(what, options)
    this.name = 'StateDamage'
  }
}

/**
 * What an error of the stored state says about damage. LMDB reports its own only by the text of
 * its codes.
 */
export function stateDamageIn(error: unknown): StateDamage | undefined {
  if (error instanceof StateDamage) return error
  const isDamage = /MDB_(INVALID|CORRUPTED|VERSION_MISMATCH|PAGE_NOTFOUND|PANIC|BAD_TXN)/.test(
    String(error),
  )
  if (!isDamage) return undefined
  return new StateDamage(`the state can't be read: ${String(error)}`, { cause: error })
}

export function storedBytes(held: Held): number {
  return STORED_HEADER_BYTES + held.end - held.start
}

/** Writes the entry at `position` of `target` and returns the view that is to be stored. */
export function encodeStored(held: LiveHeld, target: Buffer, position: number): Buffer {
  const stored = target.subarray(position, position + storedBytes(held))
  stored.writeDoubleLE(held.version, CHECKED_OFFSET)
  stored.writeDoubleLE(held.expiresAt, EXPIRY_OFFSET)
  const { bytes } = held.memory
  if (Buffer.isBuffer(bytes)) bytes.copy(stored, STORED_HEADER_BYTES, held.start, held.end)
  else stored.set(bytes.subarray(held.start, held.end), STORED_HEADER_BYTES)
  stored.writeUInt32LE(crc32(stored.subarray(CHECKED_OFFSET)), 0)
  return stored
}

/** An entry as found in LMDB; overwritten by the next one that is read. */
export class FoundEntry implements LiveHeld {
  version = 0
  expiresAt = 0
  memory: { bytes: Uint8Array } = { bytes: new Uint8Array(0) }
  start = 0
  end = 0

  /** Points at the entry in `stored[0, length)` after verifying it. */
  point(stored: Buffer, length: number, key: string): this {
    if (
      length < STORED_HEADER_BYTES ||
      stored.readUInt32LE(0) !== crc32(stored.subarray(CHECKED_OFFSET, length))
    ) {
      throw new StateDamage(`the stored entry of key ${JSON.stringify(key)} fails its checksum`)
    }
    this.version = stored.readDoubleLE(CHECKED_OFFSET)
    this.expiresAt = stored.readDoubleLE(EXPIRY_OFFSET)
    this.memory.bytes = stored
    this.start = STORED_HEADER_BYTES
    this.end = length
    return this
  }
}

export function indexKey(expiresAt: number, key: string): Buffer {
  const bytes = Buffer.allocUnsafe(INDEX_TIME_BYTES + storedKeyBytes(key))
  bytes.writeDoubleBE(expiresAt, 0)
  writeStoredKey(key, bytes, INDEX_TIME_BYTES)
  return bytes
}

export function readIndexKey(bytes: Buffer): { expiresAt: number; key: string } {
  return {
    expiresAt: bytes.readDoubleBE(0),
    key: readStoredKey(bytes, INDEX_TIME_BYTES, bytes.length),
  }
}
