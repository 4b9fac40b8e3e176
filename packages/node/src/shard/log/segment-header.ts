/**
 * The first block of a segment file: whose it is, what came before it, and by which salt its frames
 * are known.
 *
 *   offset  bytes
 *        0  8      magic
 *        8  4      checksum of everything after this field
 *       12  4      format version
 *       16  4      incompatible features, one bit each
 *       20  4      salt
 *       24  4      shard
 *       28  1      length of the cluster id (three bytes unused)
 *       32  36     cluster id
 *       68  4      checksum of the last frame before this segment
 *       72  8      capacity: the size of the file, this block included
 *       80  8      ordinal: 1 for the first segment of a log, +1 for each next
 *       88  8      first revision: above all before it, not above any in this segment
 *       96  8      epoch of the last frame before this segment
 *      104  4      count of epoch starts (four bytes unused)
 *      112  16 n   epoch starts: epoch, first revision
 *
 * The magic and the checksum keep their places in every version, so that a block of a later version
 * is told from a damaged one. Pure.
 */
import { crc32 } from 'node:zlib'
import { EPOCH_STARTS_MAX, isEpochTable, type EpochStart } from './epoch-table.js'
import { isUsableSalt } from './frame.js'
import type { LogPosition } from './position.js'
import { readSafeInteger, writeSafeInteger } from './safe-integer.js'

export const SEGMENT_HEADER_BYTES = 4096
export const CLUSTER_ID_BYTES_MAX = 36

const SEGMENT_MAGIC = Buffer.from('kvlogseg', 'latin1')
const FORMAT_VERSION = 1
const KNOWN_FEATURES = 0
const CHECKSUM_OFFSET = 8
const CHECKED_OFFSET = 12
const CLUSTER_ID_OFFSET = 32
const EPOCHS_OFFSET = 112
const EPOCH_START_BYTES = 16

if (EPOCHS_OFFSET + EPOCH_STARTS_MAX * EPOCH_START_BYTES > SEGMENT_HEADER_BYTES) {
  throw new RangeError('The epoch table does not fit the header of a segment.')
}

export interface SegmentHeader {
  readonly clusterId: string
  readonly shard: number
  readonly salt: number
  readonly capacityBytes: number
  readonly ordinal: number
  /** The last frame before this segment; the segment's first revision is the one after it. */
  readonly previous: LogPosition
  /** The epochs that began before this segment. */
  readonly epochs: readonly EpochStart[]
}

export type DecodedSegmentHeader =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'unknown-version'; readonly version: number }
  | { readonly kind: 'unknown-features'; readonly features: number }

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const block = Buffer.alloc(SEGMENT_HEADER_BYTES)
  SEGMENT_MAGIC.copy(block)
  block.writeUInt32LE(FORMAT_VERSION, 12)
  block.writeUInt32LE(0, 16)
  block.writeUInt32LE(header.salt, 20)
  block.writeUInt32LE(header.shard, 24)
  block.writeUInt8(Buffer.byteLength(header.clusterId), 28)
  block.write(header.clusterId, CLUSTER_ID_OFFSET, CLUSTER_ID_BYTES_MAX)
  block.writeUInt32LE(header.previous.checksum, 68)
  writeSafeInteger(block, header.capacityBytes, 72)
  writeSafeInteger(block, header.ordinal, 80)
  writeSafeInteger(block, header.previous.revision + 1, 88)
  writeSafeInteger(block, header.previous.epoch, 96)
  block.writeUInt32LE(header.epochs.length, 104)
  header.epochs.forEach((start, index) => {
    const offset = EPOCHS_OFFSET + index * EPOCH_START_BYTES
    writeSafeInteger(block, start.epoch, offset)
    writeSafeInteger(block, start.firstRevision, offset + 8)
  })
  block.writeUInt32LE(crc32(block.subarray(CHECKED_OFFSET)), CHECKSUM_OFFSET)
  return block
}

/** `source` begins with the block; what follows it is ignored. */
export function decodeSegmentHeader(source: Buffer): DecodedSegmentHeader {
  if (source.length < SEGMENT_HEADER_BYTES) return { kind: 'damaged' }
  const block = source.subarray(0, SEGMENT_HEADER_BYTES)
  if (!block.subarray(0, SEGMENT_MAGIC.length).equals(SEGMENT_MAGIC)) return { kind: 'damaged' }
  if (crc32(block.subarray(CHECKED_OFFSET)) !== block.readUInt32LE(CHECKSUM_OFFSET)) {
    return { kind: 'damaged' }
  }
  const version = block.readUInt32LE(12)
  if (version !== FORMAT_VERSION) return { kind: 'unknown-version', version }
  const features = block.readUInt32LE(16)
  if ((features & ~KNOWN_FEATURES) !== 0) return { kind: 'unknown-features', features }
  const header = readFields(block)
  return header === undefined ? { kind: 'damaged' } : { kind: 'header', header }
}

function readFields(block: Buffer): SegmentHeader | undefined {
  const clusterIdBytes = block.readUInt8(28)
  const epochCount = block.readUInt32LE(104)
  if (clusterIdBytes > CLUSTER_ID_BYTES_MAX || epochCount > EPOCH_STARTS_MAX) return undefined
  const header: SegmentHeader = {
    clusterId: block.toString('utf8', CLUSTER_ID_OFFSET, CLUSTER_ID_OFFSET + clusterIdBytes),
    shard: block.readUInt32LE(24),
    salt: block.readUInt32LE(20),
    capacityBytes: readSafeInteger(block, 72),
    ordinal: readSafeInteger(block, 80),
    previous: {
      epoch: readSafeInteger(block, 96),
      revision: readSafeInteger(block, 88) - 1,
      checksum: block.readUInt32LE(68),
    },
    epochs: Array.from({ length: epochCount }, (_, index) => {
      const offset = EPOCHS_OFFSET + index * EPOCH_START_BYTES
      return {
        epoch: readSafeInteger(block, offset),
        firstRevision: readSafeInteger(block, offset + 8),
      }
    }),
  }
  return isSound(header) ? header : undefined
}

function isSound(header: SegmentHeader): boolean {
  const { previous, capacityBytes, ordinal } = header
  const numbers = [capacityBytes, ordinal, previous.epoch, previous.revision]
  return (
    numbers.every((number) => Number.isSafeInteger(number)) &&
    previous.revision >= 0 &&
    ordinal >= 1 &&
    capacityBytes >= SEGMENT_HEADER_BYTES &&
    isUsableSalt(header.salt) &&
    isEpochTable(header.epochs)
  )
}
