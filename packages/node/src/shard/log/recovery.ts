/**
 * Decides what the bytes of one segment mean after a restart: which frames count, where the next one
 * goes, and whether what follows the last good frame is rest, a torn write, or damage.
 *
 * Only one frame of a log is unsynced at a time. So only the last frame of the last segment can be
 * torn, and only when the log was not closed cleanly. A write that tears may leave any of its sectors
 * behind in any order; it cannot hurt bytes it rewrites unchanged (the assumption SQLite calls
 * "powersafe overwrite"). Everything else is damage (P8): it is reported, never skipped.
 *
 * With one copy, damage inside the last frame after an unclean end cannot be told from a tear. Pure.
 */
import type { DamageCase } from './errors.js'
import { decodeFrame, findFrame, FRAME_HEADER_BYTES, type LogFrame } from './frame.js'
import { continuationFault, isSamePosition, positionAfter, type LogPosition } from './position.js'
import { SEGMENT_HEADER_BYTES } from './segment-header.js'

/**
 * Which place a segment has in its log:
 * - `complete`: another segment follows, whose header says where this one ends;
 * - `closed`: the last one after a clean close, whose mark says where it ends;
 * - `open`: the last one after an unclean end. Nothing says where it ends.
 */
export type SegmentPlace =
  | { readonly kind: 'complete'; readonly end: LogPosition }
  | { readonly kind: 'closed'; readonly end: LogPosition }
  | { readonly kind: 'open' }

/** What lies behind the last good frame. */
type Rest = 'zeros' | 'bytes' | 'bytes-before-a-frame'

type RestVerdict = 'end' | 'torn' | DamageCase

const REST: Readonly<Record<Rest, Readonly<Record<SegmentPlace['kind'], RestVerdict>>>> = {
  // The normal end of a pre-written segment.
  zeros: { complete: 'end', closed: 'end', open: 'end' },
  bytes: {
    complete: 'bad-frame-in-closed-segment',
    closed: 'bad-frame-in-closed-segment',
    open: 'torn',
  },
  'bytes-before-a-frame': { complete: 'bad-frame', closed: 'bad-frame', open: 'bad-frame' },
}

export interface RecoveredSegment {
  /** `torn`: what follows `endBytes` is the remains of a frame that was never acknowledged. */
  readonly kind: 'whole' | 'torn'
  readonly frames: readonly LogFrame[]
  readonly end: LogPosition
  /** Where the next frame would go. */
  readonly endBytes: number
}

export interface DamagedSegment {
  readonly kind: 'damaged'
  readonly damage: DamageCase
  readonly offsetBytes: number
}

export interface SegmentExpectation {
  readonly salt: number
  readonly previous: LogPosition
  readonly place: SegmentPlace
}

/** `bytes` is the whole file, whose header has been checked. */
export function recoverSegment(
  bytes: Buffer,
  expected: SegmentExpectation,
): RecoveredSegment | DamagedSegment {
  const frames: LogFrame[] = []
  let end = expected.previous
  let endBytes = SEGMENT_HEADER_BYTES
  for (;;) {
    const decoded = decodeFrame(bytes, endBytes, expected.salt)
    if (decoded === undefined) break
    const { frame } = decoded
    const fault = decoded.hasUnknownFlags ? 'unknown-flags' : continuationFault(end, frame)
    if (fault !== undefined) return { kind: 'damaged', damage: fault, offsetBytes: endBytes }
    frames.push(frame)
    end = positionAfter(frame)
    endBytes += decoded.frameBytes
  }
  const verdict = REST[restAfter(bytes, endBytes, expected.salt)][expected.place.kind]
  if (verdict !== 'end' && verdict !== 'torn') {
    return { kind: 'damaged', damage: verdict, offsetBytes: endBytes }
  }
  if (expected.place.kind !== 'open' && !isSamePosition(end, expected.place.end)) {
    return { kind: 'damaged', damage: 'wrong-end', offsetBytes: endBytes }
  }
  return { kind: verdict === 'torn' ? 'torn' : 'whole', frames, end, endBytes }
}

/** What is left when the frames after a revision go; undefined when no frame ends with it. */
export function cutSegment(
  whole: RecoveredSegment,
  previous: LogPosition,
  cutAfter: number,
): RecoveredSegment | undefined {
  let end = previous
  let endBytes = SEGMENT_HEADER_BYTES
  const frames: LogFrame[] = []
  for (const frame of whole.frames) {
    if (end.revision >= cutAfter) break
    frames.push(frame)
    end = positionAfter(frame)
    endBytes += FRAME_HEADER_BYTES + frame.body.length
  }
  return end.revision === cutAfter ? { kind: 'whole', frames, end, endBytes } : undefined
}

function restAfter(bytes: Buffer, offset: number, salt: number): Rest {
  if (isZero(bytes, offset)) return 'zeros'
  return findFrame(bytes, offset, salt) === undefined ? 'bytes' : 'bytes-before-a-frame'
}

const ZEROS = Buffer.alloc(64 * 1024)

/** Whether nothing but zeros is in `bytes` from there on. */
export function isZero(bytes: Buffer, from: number): boolean {
  for (let offset = from; offset < bytes.length; offset += ZEROS.length) {
    const length = Math.min(ZEROS.length, bytes.length - offset)
    if (bytes.compare(ZEROS, 0, length, offset, offset + length) !== 0) return false
  }
  return true
}
