/**
 * Reads a segment as recovery does, in pieces: frames are handed out as they come, and what lies
 * behind them is only looked at. A failover waits for this, and a buffer of a whole segment for each
 * shard that is opened costs more than the frames in it.
 *
 * What a journal holds of the segment counts as if it were in the file.
 */
import { LogDamage } from './errors.js'
import type { LogFile } from './file-system.js'
import { claimedFrameBytes, decodeFrame, FRAME_HEADER_BYTES, type LogFrame } from './frame.js'
import type { JournaledFrame } from './frame-journal.js'
import { continuationFault, isSamePosition, positionAfter, type LogPosition } from './position.js'
import { isZero, recoverSegment, type RecoveredSegment, type SegmentPlace } from './recovery.js'
import { SEGMENT_HEADER_BYTES } from './segment-header.js'
import type { Segment } from './segment.js'
import { readInto } from './whole-io.js'

const PIECE_BYTES = 1024 * 1024

export interface ScannedSegment extends Pick<RecoveredSegment, 'kind' | 'end' | 'endBytes'> {
  /** Where the last frame begins; where frames begin if there is none. */
  readonly lastFrameAt: number
}

/** The bytes of a segment, as they are to be. */
export class SegmentBytes {
  readonly segment: Segment
  readonly #file: LogFile
  readonly #journaled: readonly JournaledFrame[]

  constructor(segment: Segment, file: LogFile, journaled: readonly JournaledFrame[]) {
    const { salt, capacityBytes, previous } = segment
    this.segment = segment
    this.#file = file
    this.#journaled = journaled.filter(
      (frame) =>
        frame.salt === salt &&
        frame.firstRevision === previous.revision + 1 &&
        frame.offset + frame.bytes.length <= capacityBytes,
    )
  }

  /** The first byte that a journal holds; none is behind the end of the file. */
  get journaledFrom(): number {
    return this.#journaled.reduce((from, { offset }) => Math.min(from, offset), Infinity)
  }

  /** Reads to the start of `target`; returns how many bytes there are up to the capacity. */
  async read(target: Buffer, position: number, length: number): Promise<number> {
    const wanted = Math.min(length, this.segment.capacityBytes - position)
    const count = await readInto(this.#file, target, position, wanted)
    for (const { offset, bytes } of this.#journaled) {
      const from = Math.max(offset, position)
      const to = Math.min(offset + bytes.length, position + count)
      if (from < to) bytes.copy(target, from - position, from - offset, to - offset)
    }
    return count
  }

  /** In memory of its own. */
  async copy(from: number, to: number): Promise<Buffer> {
    const target = Buffer.allocUnsafeSlow(to - from)
    return target.subarray(0, await this.read(target, from, to - from))
  }
}

/** Hands out every frame and says where they end; throws `LogDamage` as `recoverSegment` finds it. */
export async function scanSegment(
  content: SegmentBytes,
  place: SegmentPlace,
  onFrame: (frame: LogFrame) => void,
): Promise<ScannedSegment> {
  const { segment } = content
  const piece = new Piece(content)
  let end = segment.previous
  let endBytes = SEGMENT_HEADER_BYTES
  let lastFrameAt = endBytes
  while (endBytes + FRAME_HEADER_BYTES <= segment.capacityBytes) {
    if (!piece.holds(endBytes, FRAME_HEADER_BYTES)) await piece.move(endBytes, FRAME_HEADER_BYTES)
    const claimed = claimedFrameBytes(piece.bytes, endBytes - piece.from, segment.salt)
    if (claimed === undefined || endBytes + claimed > segment.capacityBytes) break
    if (!piece.holds(endBytes, claimed)) await piece.move(endBytes, claimed)
    const decoded = decodeFrame(piece.bytes, endBytes - piece.from, segment.salt)
    if (decoded === undefined) break
    const { frame } = decoded
    const fault = decoded.hasUnknownFlags ? 'unknown-flags' : continuationFault(end, frame)
    if (fault !== undefined) throw new LogDamage(fault, segment.path, endBytes)
    onFrame(frame)
    end = positionAfter(frame)
    lastFrameAt = endBytes
    endBytes += decoded.frameBytes
  }
  if (await piece.isZeroFrom(endBytes)) {
    assertEnd(segment, place, end, endBytes)
    return { kind: 'whole', end, endBytes, lastFrameAt }
  }
  return { ...(await recoverWhole(content, place)), lastFrameAt }
}

/** As `scanSegment`, with all frames in memory. */
export async function recoverWhole(
  content: SegmentBytes,
  place: SegmentPlace,
): Promise<RecoveredSegment> {
  const { salt, previous, path, capacityBytes } = content.segment
  const outcome = recoverSegment(await content.copy(0, capacityBytes), { salt, previous, place })
  if (outcome.kind !== 'damaged') return outcome
  throw new LogDamage(outcome.damage, path, outcome.offsetBytes)
}

function assertEnd(
  { path }: Segment,
  place: SegmentPlace,
  end: LogPosition,
  endBytes: number,
): void {
  if (place.kind === 'open' || isSamePosition(end, place.end)) return
  throw new LogDamage('wrong-end', path, endBytes)
}

/** The part of a segment that is in memory. What was read from it before is gone when it moves. */
class Piece {
  /** Where `bytes` begins in the segment. */
  from = 0
  bytes: Buffer = NO_BYTES
  readonly #content: SegmentBytes
  #memory: Buffer

  constructor(content: SegmentBytes) {
    this.#content = content
    const { capacityBytes } = content.segment
    this.#memory = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, capacityBytes))
  }

  holds(position: number, length: number): boolean {
    return position >= this.from && position + length <= this.from + this.bytes.length
  }

  /** To where `length` bytes from a position on are in it, as far as the segment has them. */
  async move(position: number, length: number): Promise<void> {
    if (length > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(length)
    const count = await this.#content.read(this.#memory, position, this.#memory.length)
    this.from = position
    this.bytes = this.#memory.subarray(0, count)
  }

  async isZeroFrom(position: number): Promise<boolean> {
    const { capacityBytes } = this.#content.segment
    for (let at = position; at < capacityBytes; at = this.from + this.bytes.length) {
      if (!this.holds(at, 1)) await this.move(at, 1)
      // The header said otherwise when it was read.
      if (this.bytes.length === 0) return true
      if (!isZero(this.bytes, at - this.from)) return false
    }
    return true
  }
}

const NO_BYTES = Buffer.alloc(0)
