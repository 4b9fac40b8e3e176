/**
 * The block: what a journal writes and syncs at once, frames of many logs.
 *
 *   offset  bytes
 *        0  4      magic
 *        4  4      checksum of the rest of the header and of the directory
 *        8  4      bytes of the block
 *       12  4      count of frames
 *       16  8      number of the block, one more than that of the block before
 *       24  16     id of the journal
 *       40  28     each: the directory, which says for each frame where it belongs
 *        …  …      the frames, as they are to stand in their segments
 *
 * and an item of the directory is
 *
 *        0  4      shard
 *        4  4      salt of the segment
 *        8  8      first revision of the segment, which names its file
 *       16  4      offset in the segment
 *       20  4      bytes of the frame
 *       24  4      checksum of the frame
 *
 * Each frame has a checksum of its own, so that damage to one is the affair of its shard alone.
 * Blocks begin at multiples of 4 KiB, so that no write touches a sector of the one before. The number
 * and the id tell a block from what an earlier use of the file left behind. Pure.
 */
import { crc32 } from 'node:zlib'
import type { JournaledFrame } from '../log/frame-journal.js'
import { readSafeInteger, writeSafeInteger } from '../log/safe-integer.js'

export const BLOCK_ALIGNMENT_BYTES = 4_096
export const BLOCK_HEADER_BYTES = 40
const DIRECTORY_ITEM_BYTES = 28
export const JOURNAL_ID_BYTES = 16

const BLOCK_MAGIC = 0x6e72_6a6b // reads 'kjrn'
const CHECKSUM_OFFSET = 4
const CHECKED_OFFSET = 8

export interface JournalRecord extends JournaledFrame {
  readonly shard: number
}

export interface ReadRecord extends JournalRecord {
  /** Whether the bytes are what was written. */
  readonly isSound: boolean
}

export interface Block {
  readonly number: number
  readonly records: readonly ReadRecord[]
  /** Where the next block begins, counted from the start of this one. */
  readonly paddedBytes: number
}

export function paddedBytes(bytes: number): number {
  return Math.ceil(bytes / BLOCK_ALIGNMENT_BYTES) * BLOCK_ALIGNMENT_BYTES
}

/** Room a frame takes in a block. */
export function recordBytes(frameBytes: number): number {
  return DIRECTORY_ITEM_BYTES + frameBytes
}

/** Writes a block to the start of `target`, which has room for it. Returns its bytes, unpadded. */
export function encodeBlock(
  target: Buffer,
  journalId: Buffer,
  number: number,
  records: readonly JournalRecord[],
): number {
  const framesFrom = BLOCK_HEADER_BYTES + records.length * DIRECTORY_ITEM_BYTES
  let item = BLOCK_HEADER_BYTES
  let position = framesFrom
  for (const { shard, salt, firstRevision, offset, bytes } of records) {
    target.writeUInt32LE(shard, item)
    target.writeUInt32LE(salt, item + 4)
    writeSafeInteger(target, firstRevision, item + 8)
    target.writeUInt32LE(offset, item + 16)
    target.writeUInt32LE(bytes.length, item + 20)
    target.writeUInt32LE(crc32(bytes), item + 24)
    target.set(bytes, position)
    item += DIRECTORY_ITEM_BYTES
    position += bytes.length
  }
  target.writeUInt32LE(BLOCK_MAGIC, 0)
  target.writeUInt32LE(position, 8)
  target.writeUInt32LE(records.length, 12)
  writeSafeInteger(target, number, 16)
  target.set(journalId, 24)
  target.writeUInt32LE(crc32(target.subarray(CHECKED_OFFSET, framesFrom)), CHECKSUM_OFFSET)
  return position
}

/** The block of this journal that begins at `offset`, if its header and directory are sound. */
export function decodeBlock(source: Buffer, offset: number, journalId: Buffer): Block | undefined {
  if (offset + BLOCK_HEADER_BYTES > source.length) return undefined
  if (source.readUInt32LE(offset) !== BLOCK_MAGIC) return undefined
  const end = offset + source.readUInt32LE(offset + 8)
  const directory = offset + BLOCK_HEADER_BYTES
  const framesFrom = directory + source.readUInt32LE(offset + 12) * DIRECTORY_ITEM_BYTES
  if (framesFrom > end || end > source.length) return undefined
  const idOffset = offset + 24
  if (journalId.compare(source, idOffset, idOffset + JOURNAL_ID_BYTES) !== 0) return undefined
  const checksum = crc32(source.subarray(offset + CHECKED_OFFSET, framesFrom))
  if (source.readUInt32LE(offset + CHECKSUM_OFFSET) !== checksum) return undefined
  return {
    number: readSafeInteger(source, offset + 16),
    records: decodeRecords(source, directory, framesFrom),
    paddedBytes: paddedBytes(end - offset),
  }
}

function decodeRecords(source: Buffer, directory: number, framesFrom: number): ReadRecord[] {
  const records: ReadRecord[] = []
  let position = framesFrom
  for (let item = directory; item < framesFrom; item += DIRECTORY_ITEM_BYTES) {
    const bytes = source.subarray(position, position + source.readUInt32LE(item + 20))
    records.push({
      shard: source.readUInt32LE(item),
      salt: source.readUInt32LE(item + 4),
      firstRevision: readSafeInteger(source, item + 8),
      offset: source.readUInt32LE(item + 16),
      bytes,
      isSound: crc32(bytes) === source.readUInt32LE(item + 24),
    })
    position += bytes.length
  }
  return records
}
