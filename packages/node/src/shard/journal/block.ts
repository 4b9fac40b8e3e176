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
 *       40  16     only in a journal of `everysec`: its marks (below)
 *        …  28     each: the directory, which says for each frame where it belongs
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
 * and the id tell a block from what an earlier use of the file left behind.
 *
 * In a journal of `everysec` many blocks are unsynced at a time, so each says what was certain when it
 * was written (ADR 0030):
 *
 *       40  8      the last block that was synced then
 *       48  8      the first block that somebody may need: the frames of those before are in segments
 *
 * Pure.
 */
import { crc32 } from 'node:zlib'
import type { JournaledFrame } from '../log/frame-journal.js'
import { readSafeInteger, writeSafeInteger } from '../log/safe-integer.js'
import type { Fsync } from '../../link/control.js'

export const BLOCK_ALIGNMENT_BYTES = 4_096
export const BLOCK_HEADER_BYTES = 40
const DIRECTORY_ITEM_BYTES = 28
export const JOURNAL_ID_BYTES = 16

/** With the marks. */
export const MARKED_HEADER_BYTES = 56

const BLOCK_MAGIC = 0x6e72_6a6b // reads 'kjrn'
const MARKED_BLOCK_MAGIC = 0x736a_6e6b // reads 'knjs'
const CHECKSUM_OFFSET = 4
const CHECKED_OFFSET = 8

export interface JournalRecord extends JournaledFrame {
  readonly shard: number
}

export interface ReadRecord extends JournalRecord {
  /** Whether the bytes are what was written. */
  readonly isSound: boolean
}

/** What was certain when the block was written. */
export interface BlockMarks {
  /** Every block up to this one was synced; 0 for none. */
  readonly syncedThrough: number
  /** Frames of the blocks before this one are in their segments. */
  readonly neededFrom: number
}

export interface Block {
  readonly number: number
  readonly records: readonly ReadRecord[]
  /** Of a journal of `everysec`. */
  readonly marks?: BlockMarks
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

/** What a block is beside its frames. */
export interface BlockHead {
  readonly journalId: Buffer
  readonly number: number
  /** In a journal of `everysec`, always. */
  readonly marks?: BlockMarks | undefined
}

/** Writes a block to the start of `target`, which has room for it. Returns its bytes, unpadded. */
export function encodeBlock(
  target: Buffer,
  { journalId, number, marks }: BlockHead,
  records: readonly JournalRecord[],
): number {
  const headerBytes = marks === undefined ? BLOCK_HEADER_BYTES : MARKED_HEADER_BYTES
  const framesFrom = headerBytes + records.length * DIRECTORY_ITEM_BYTES
  let item = headerBytes
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
  target.writeUInt32LE(marks === undefined ? BLOCK_MAGIC : MARKED_BLOCK_MAGIC, 0)
  target.writeUInt32LE(position, 8)
  target.writeUInt32LE(records.length, 12)
  writeSafeInteger(target, number, 16)
  target.set(journalId, 24)
  if (marks !== undefined) {
    writeSafeInteger(target, marks.syncedThrough, 40)
    writeSafeInteger(target, marks.neededFrom, 48)
  }
  target.writeUInt32LE(crc32(target.subarray(CHECKED_OFFSET, framesFrom)), CHECKSUM_OFFSET)
  return position
}

/** The block of this journal that begins at `offset`, if its header and directory are sound. */
export function decodeBlock(
  source: Buffer,
  offset: number,
  journalId: Buffer,
  fsync: Fsync = 'always',
): Block | undefined {
  const isMarked = fsync === 'everysec'
  const headerBytes = isMarked ? MARKED_HEADER_BYTES : BLOCK_HEADER_BYTES
  if (offset + headerBytes > source.length) return undefined
  const magic = isMarked ? MARKED_BLOCK_MAGIC : BLOCK_MAGIC
  if (source.readUInt32LE(offset) !== magic) return undefined
  const end = offset + source.readUInt32LE(offset + 8)
  const directory = offset + headerBytes
  const framesFrom = directory + source.readUInt32LE(offset + 12) * DIRECTORY_ITEM_BYTES
  if (framesFrom > end || end > source.length) return undefined
  const idOffset = offset + 24
  if (journalId.compare(source, idOffset, idOffset + JOURNAL_ID_BYTES) !== 0) return undefined
  const checksum = crc32(source.subarray(offset + CHECKED_OFFSET, framesFrom))
  if (source.readUInt32LE(offset + CHECKSUM_OFFSET) !== checksum) return undefined
  return {
    number: readSafeInteger(source, offset + 16),
    records: decodeRecords(source, directory, framesFrom),
    ...(isMarked ? { marks: decodeMarks(source, offset) } : {}),
    paddedBytes: paddedBytes(end - offset),
  }
}

function decodeMarks(source: Buffer, offset: number): BlockMarks {
  const syncedThrough = readSafeInteger(source, offset + 40)
  return { syncedThrough, neededFrom: readSafeInteger(source, offset + 48) }
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
