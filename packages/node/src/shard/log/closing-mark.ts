/**
 * The record of a clean close: a small file that says where the log ends. While it lies there no tail
 * may be torn, so anything else than exactly this end is damage. It is removed, and the removal made
 * durable, before the first append after opening. Pure.
 */
import { crc32 } from 'node:zlib'
import { readSafeInteger, writeSafeInteger } from './safe-integer.js'
import type { LogPosition } from './position.js'

export const CLOSING_MARK_NAME = 'closed'

const MARK_MAGIC = Buffer.from('kvclosed', 'latin1')
const MARK_BYTES = 32

export function encodeClosingMark(end: LogPosition): Buffer {
  const mark = Buffer.alloc(MARK_BYTES)
  MARK_MAGIC.copy(mark)
  mark.writeUInt32LE(end.checksum, 12)
  writeSafeInteger(mark, end.epoch, 16)
  writeSafeInteger(mark, end.revision, 24)
  mark.writeUInt32LE(crc32(mark.subarray(12)), 8)
  return mark
}

/** Undefined when the bytes are no whole mark: it is put in place by a rename, so that is damage. */
export function decodeClosingMark(mark: Buffer): LogPosition | undefined {
  if (mark.length !== MARK_BYTES) return undefined
  if (!mark.subarray(0, MARK_MAGIC.length).equals(MARK_MAGIC)) return undefined
  if (crc32(mark.subarray(12)) !== mark.readUInt32LE(8)) return undefined
  const end: LogPosition = {
    epoch: readSafeInteger(mark, 16),
    revision: readSafeInteger(mark, 24),
    checksum: mark.readUInt32LE(12),
  }
  return Number.isSafeInteger(end.epoch) && Number.isSafeInteger(end.revision) ? end : undefined
}
