/**
 * The frame: the entries of one group commit under one checksum, written, replicated and cut as a
 * whole. A frame is a fixed header and a body that the log never looks into.
 *
 *   offset  bytes
 *        0  4      magic, masked with the salt of the segment
 *        4  4      checksum of everything after this field, masked with the salt
 *        8  4      body bytes
 *       12  4      checksum of the frame before
 *       16  8      epoch
 *       24  8      first revision
 *       32  8      time, ms since 1970
 *       40  4      count of entries (revisions)
 *       44  4      flags
 *       48  …      body
 *
 * The salt hides the two fields by which a frame is recognised, so that neither a look-alike inside a
 * value nor an old frame in reused blocks is ever taken for a frame of this segment. The checksum
 * itself is not salted: one frame has the same checksum on every replica, which lets the chain of
 * checksums be compared between them. Pure.
 */
import { crc32 } from 'node:zlib'
import { readSafeInteger, writeSafeInteger } from './safe-integer.js'

export const FRAME_HEADER_BYTES = 48

const FRAME_MAGIC = 0x6d72_666b // reads 'kfrm'
const CHECKSUM_OFFSET = 4
const CHECKED_OFFSET = 8

const FLAG_JUMP = 1
const KNOWN_FLAGS = FLAG_JUMP

export interface FrameMeta {
  /** At least one; zero is the epoch of a log without frames. */
  readonly epoch: number
  readonly firstRevision: number
  /** How many revisions the frame holds, at least one. */
  readonly count: number
  readonly timeMs: number
}

export interface FrameHeader extends FrameMeta {
  readonly previousChecksum: number
  /** The frame begins an epoch and leaves revisions out before it. */
  readonly jump: boolean
}

export interface LogFrame extends FrameHeader {
  /** A view of what was read; whoever keeps a small part of it should copy that part. */
  readonly body: Buffer
  readonly checksum: number
}

/** A frame as found in a segment, together with what only its reader needs. */
export interface DecodedFrame {
  readonly frame: LogFrame
  readonly frameBytes: number
  readonly hasUnknownFlags: boolean
}

export function lastRevisionOf(meta: FrameMeta): number {
  return meta.firstRevision + meta.count - 1
}

export function isFrameMeta(meta: FrameMeta): boolean {
  return (
    Number.isSafeInteger(meta.epoch) &&
    meta.epoch >= 1 &&
    Number.isSafeInteger(meta.firstRevision) &&
    meta.firstRevision >= 1 &&
    Number.isInteger(meta.count) &&
    meta.count >= 1 &&
    meta.count <= 0xffff_ffff &&
    Number.isSafeInteger(lastRevisionOf(meta)) &&
    Number.isSafeInteger(meta.timeMs) &&
    meta.timeMs >= 0
  )
}

/** The mark by which a frame of a segment is found. */
export function saltedMagic(salt: number): number {
  return (FRAME_MAGIC ^ salt) >>> 0
}

/** A mark with a zero byte could begin in the zeros of a pre-written segment. */
export function isUsableSalt(salt: number): boolean {
  const magic = saltedMagic(salt)
  return [0, 8, 16, 24].every((shift) => ((magic >>> shift) & 0xff) !== 0)
}

/**
 * Writes the header in front of a body that already lies in `buffer` at `FRAME_HEADER_BYTES`, so that
 * an append is one write and no copy. Returns the checksum of the frame.
 */
export function encodeFrame(
  buffer: Buffer,
  bodyBytes: number,
  header: FrameHeader,
  salt: number,
): number {
  writeFields(buffer, 0, bodyBytes, header, salt)
  const checksum = crc32(buffer.subarray(CHECKED_OFFSET, FRAME_HEADER_BYTES + bodyBytes))
  buffer.writeUInt32LE((checksum ^ salt) >>> 0, CHECKSUM_OFFSET)
  return checksum
}

/** Writes the header of a frame whose checksum is known, apart from its body. */
export function writeFrameHeader(buffer: Buffer, offset: number, frame: LogFrame): void {
  writeFields(buffer, offset, frame.body.length, frame, 0)
  buffer.writeUInt32LE(frame.checksum, offset + CHECKSUM_OFFSET)
}

function writeFields(
  buffer: Buffer,
  offset: number,
  bodyBytes: number,
  header: FrameHeader,
  salt: number,
): void {
  buffer.writeUInt32LE(saltedMagic(salt), offset)
  buffer.writeUInt32LE(bodyBytes, offset + 8)
  buffer.writeUInt32LE(header.previousChecksum, offset + 12)
  writeSafeInteger(buffer, header.epoch, offset + 16)
  writeSafeInteger(buffer, header.firstRevision, offset + 24)
  writeSafeInteger(buffer, header.timeMs, offset + 32)
  buffer.writeUInt32LE(header.count, offset + 40)
  buffer.writeUInt32LE(header.jump ? FLAG_JUMP : 0, offset + 44)
}

/**
 * The length of the frame that begins at `offset`, if a header seems to be there. Nothing but the
 * magic is checked, so the length is only good for reading the rest of the frame.
 */
export function claimedFrameBytes(
  source: Buffer,
  offset: number,
  salt: number,
): number | undefined {
  if (offset + FRAME_HEADER_BYTES > source.length) return undefined
  if (source.readUInt32LE(offset) !== saltedMagic(salt)) return undefined
  return FRAME_HEADER_BYTES + source.readUInt32LE(offset + 8)
}

/** The valid frame that begins at `offset` and lies entirely within `source`, or undefined. */
export function decodeFrame(
  source: Buffer,
  offset: number,
  salt: number,
): DecodedFrame | undefined {
  const frameBytes = claimedFrameBytes(source, offset, salt)
  if (frameBytes === undefined || offset + frameBytes > source.length) return undefined
  const end = offset + frameBytes
  const checksum = crc32(source.subarray(offset + CHECKED_OFFSET, end))
  if (source.readUInt32LE(offset + CHECKSUM_OFFSET) !== (checksum ^ salt) >>> 0) return undefined
  const flags = source.readUInt32LE(offset + 44)
  const frame: LogFrame = {
    epoch: readSafeInteger(source, offset + 16),
    firstRevision: readSafeInteger(source, offset + 24),
    count: source.readUInt32LE(offset + 40),
    timeMs: readSafeInteger(source, offset + 32),
    previousChecksum: source.readUInt32LE(offset + 12),
    jump: (flags & FLAG_JUMP) !== 0,
    body: source.subarray(offset + FRAME_HEADER_BYTES, end),
    checksum,
  }
  if (!isFrameMeta(frame)) return undefined
  return { frame, frameBytes, hasUnknownFlags: (flags & ~KNOWN_FLAGS) !== 0 }
}

/** Where the first valid frame at or after `offset` begins, or undefined. Reads to the end. */
export function findFrame(source: Buffer, offset: number, salt: number): number | undefined {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(saltedMagic(salt))
  let found = source.indexOf(magic, offset)
  while (found !== -1) {
    if (decodeFrame(source, found, salt) !== undefined) return found
    found = source.indexOf(magic, found + 1)
  }
  return undefined
}
