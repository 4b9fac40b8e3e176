/**
 * A position in a log is its last frame: which epoch and revision, and the checksum that chains the
 * next frame to it. This file holds the one rule of continuation (P2, P5), asked before a frame is
 * written, when it is read back, and when it arrives from another replica. Pure.
 */
import type { DamageCase } from './errors.js'
import { lastRevisionOf, type LogFrame } from './frame.js'

export interface LogPosition {
  readonly epoch: number
  /** The last revision of the frame; the next one must follow it. */
  readonly revision: number
  readonly checksum: number
}

/** The position of a log that never held a frame. */
export const LOG_START: LogPosition = { epoch: 0, revision: 0, checksum: 0 }

/** What the rule needs to know of a frame. */
export interface Continuation {
  readonly epoch: number
  readonly firstRevision: number
  readonly previousChecksum: number
  /** The frame says itself that revisions are left out before it. */
  readonly jump: boolean
}

export type ContinuationFault = Extract<
  DamageCase,
  'broken-chain' | 'older-epoch' | 'revision-gap' | 'revision-repeated' | 'wrong-jump'
>

/** Why `frame` must not follow `previous`, or undefined when it may. */
export function continuationFault(
  previous: LogPosition,
  frame: Continuation,
): ContinuationFault | undefined {
  if (frame.epoch < previous.epoch) return 'older-epoch'
  if (frame.firstRevision <= previous.revision) return 'revision-repeated'
  const isGap = frame.firstRevision > previous.revision + 1
  if (isGap && !frame.jump) return 'revision-gap'
  // Only a new epoch may leave revisions out, and only where it says so.
  if (isGap && frame.epoch === previous.epoch) return 'revision-gap'
  if (!isGap && frame.jump) return 'wrong-jump'
  return frame.previousChecksum === previous.checksum ? undefined : 'broken-chain'
}

export function positionAfter(frame: LogFrame): LogPosition {
  return { epoch: frame.epoch, revision: lastRevisionOf(frame), checksum: frame.checksum }
}

export function isSamePosition(a: LogPosition, b: LogPosition): boolean {
  return a.epoch === b.epoch && a.revision === b.revision && a.checksum === b.checksum
}
