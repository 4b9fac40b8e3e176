/**
 * A cursor over the durable frames of a log, for feeds and replication. It may stand at the tail
 * while appends go on: `next` returns undefined there and frames again later, so that following the
 * log reads each byte once. It never sees a frame before it is durable.
 *
 * A reader checks what it reads like recovery does (P8): a frame that cannot be read is damage, also
 * in a segment whose frames were not read when the log was opened.
 */
import { LogDamage, LogTrimmed, type DamageCase } from './errors.js'
import type { LogFile, LogFileSystem } from './file-system.js'
import { claimedFrameBytes, decodeFrame, FRAME_HEADER_BYTES } from './frame.js'
import type { DecodedFrame, LogFrame } from './frame.js'
import { continuationFault, isSamePosition, positionAfter, type LogPosition } from './position.js'
import { SEGMENT_HEADER_BYTES } from './segment-header.js'
import type { Segment } from './segment.js'
import { readWhole } from './whole-io.js'

export const READ_BYTES: number = 256 * 1024

/** Where the durable part of a segment ends: complete ones by position, the active one in bytes. */
export type DurableEnd =
  | { readonly kind: 'position'; readonly position: LogPosition }
  | { readonly kind: 'bytes'; readonly bytes: number }

/** What a reader asks of its log. Answers change while appends go on. */
export interface ReaderSource {
  readonly files: LogFileSystem
  readonly firstRevision: number
  /** The last segment that begins at or before `revision`. */
  segmentFor(revision: number): Segment | undefined
  durableEnd(segment: Segment): DurableEnd
  /** Resolves when the file of a segment holds everything before `endBytes`. */
  writeOut(segment: Segment, endBytes: number): Promise<void>
}

interface OpenSegment {
  readonly segment: Segment
  readonly file: LogFile
  /** The last frame that was passed, handed out or not; the next one begins at `offset`. */
  position: LogPosition
  offset: number
  /** Bytes read ahead: those of the file from `chunkOffset` on. Never reused, frames are views. */
  chunk: Buffer
  chunkOffset: number
}

export class LogReader {
  readonly #source: ReaderSource
  /** Frames that end before this revision are passed over. */
  #wantedRevision: number
  #open: OpenSegment | undefined

  constructor(source: ReaderSource, fromRevision: number) {
    this.#source = source
    this.#wantedRevision = fromRevision
  }

  /**
   * The next frame, beginning with the one that holds the revision asked for, or undefined at the
   * durable end. Not to be called again before it has resolved.
   */
  async next(): Promise<LogFrame | undefined> {
    for (;;) {
      const open = this.#open ?? (await this.#openSegment())
      if (open === undefined) return undefined
      const end = this.#source.durableEnd(open.segment)
      if (end.kind === 'position' && isSamePosition(open.position, end.position)) {
        await this.close()
        continue
      }
      if (end.kind === 'bytes') {
        if (open.offset >= end.bytes) return undefined
        await this.#source.writeOut(open.segment, end.bytes)
      }
      const frame = await this.#readFrame(open, end)
      if (open.position.revision < this.#wantedRevision) continue
      this.#wantedRevision = open.position.revision + 1
      return frame
    }
  }

  /** Releases the open file. A closed reader may go on: `next` opens what it needs. */
  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.file.close()
  }

  async #openSegment(): Promise<OpenSegment | undefined> {
    const segment = this.#source.segmentFor(this.#wantedRevision)
    if (segment === undefined) throw this.#trimmed()
    const end = this.#source.durableEnd(segment)
    // A segment without frames is not opened: a larger file may yet take its place.
    if (end.kind === 'bytes' && end.bytes === SEGMENT_HEADER_BYTES) return undefined
    this.#open = {
      segment,
      file: await this.#openFile(segment),
      position: segment.previous,
      offset: SEGMENT_HEADER_BYTES,
      chunk: NO_BYTES,
      chunkOffset: 0,
    }
    return this.#open
  }

  async #openFile(segment: Segment): Promise<LogFile> {
    try {
      return await this.#source.files.open(segment.path, 'read')
    } catch (error) {
      // The segment may have been dropped since it was looked up.
      throw this.#wantedRevision < this.#source.firstRevision ? this.#trimmed() : error
    }
  }

  #trimmed(): LogTrimmed {
    return new LogTrimmed(this.#wantedRevision, this.#source.firstRevision)
  }

  async #readFrame(open: OpenSegment, end: DurableEnd): Promise<LogFrame> {
    const limit = end.kind === 'bytes' ? end.bytes : open.segment.capacityBytes
    const decoded = await decodeNext(open, limit)
    if (decoded === undefined) throw damageAt(open, 'bad-frame')
    const { frame } = decoded
    const fault = decoded.hasUnknownFlags
      ? 'unknown-flags'
      : continuationFault(open.position, frame)
    if (fault !== undefined) throw damageAt(open, fault)
    open.offset += decoded.frameBytes
    open.position = positionAfter(frame)
    return frame
  }
}

const NO_BYTES = Buffer.alloc(0)

function damageAt(open: OpenSegment, damage: DamageCase): LogDamage {
  return new LogDamage(damage, open.segment.path, open.offset)
}

/** The frame at the reader's offset, reading more of the file when the chunk does not hold it all. */
async function decodeNext(open: OpenSegment, limit: number): Promise<DecodedFrame | undefined> {
  const { salt } = open.segment
  await fillChunk(open, FRAME_HEADER_BYTES, limit)
  const frameBytes = claimedFrameBytes(open.chunk, open.offset - open.chunkOffset, salt)
  if (frameBytes === undefined || open.offset + frameBytes > limit) return undefined
  await fillChunk(open, frameBytes, limit)
  return decodeFrame(open.chunk, open.offset - open.chunkOffset, salt)
}

async function fillChunk(open: OpenSegment, length: number, limit: number): Promise<void> {
  if (open.offset + length <= open.chunkOffset + open.chunk.length) return
  const wanted = Math.min(Math.max(length, READ_BYTES), limit - open.offset)
  open.chunk = await readWhole(open.file, open.offset, wanted)
  open.chunkOffset = open.offset
}
