/** What the owner of a log may choose, and what holds when it does not. */
import { LogMisuse } from './errors.js'
import { nodeFileSystem, type LogFileSystem } from './file-system.js'
import { FRAME_HEADER_BYTES, type LogFrame } from './frame.js'
import type { FrameJournal, JournaledFrame } from './frame-journal.js'
import type { LogStart } from './creation.js'
import type { Schedule } from './next-segment.js'
import { CLUSTER_ID_BYTES_MAX, SEGMENT_HEADER_BYTES } from './segment-header.js'

/** The first segment is small so that an empty shard is; each next one doubles up to the maximum. */
export const SEGMENT_BYTES_MIN: number = 256 * 1024
export const SEGMENT_BYTES_MAX: number = 8 * 1024 * 1024
/** Header and body. A longer frame is a bug of the caller. */
export const FRAME_BYTES_MAX: number = 4 * 1024 * 1024

/** An append that takes longer counts as an error of the disk, where another copy can do without it. */
export const HUNG_APPEND_MS = 2_000

export interface LogOptions {
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
  readonly fileSystem?: LogFileSystem
  /** Where frames become durable first. None: each is written to its segment at once. */
  readonly journal?: FrameJournal
  readonly segmentBytesMin?: number
  readonly segmentBytesMax?: number
  readonly frameBytesMax?: number
  /** Called when the next segment could be prepared after it could not. */
  readonly onRoom?: () => void
  /** A timer; it paces the attempts to prepare a segment on a full disk, nothing else. */
  readonly schedule?: Schedule
}

export interface CreateLogOptions extends LogOptions {
  /** Where a log begins that continues a snapshot; without it, at revision 1. */
  readonly start?: LogStart
}

export interface OpenLogOptions extends LogOptions {
  /** The revision that the state holds already; zero for none. */
  readonly replayAfter: number
  /**
   * Gets every frame that holds a revision above `replayAfter`, in order. Its body is only good for as
   * long as the call takes. When opening fails afterwards, what it got before must be forgotten.
   */
  readonly onFrame: (frame: LogFrame) => void
  /** What a journal holds of the log. */
  readonly journaled?: readonly JournaledFrame[]
  /**
   * Removes every frame after this revision, which must end a frame and not be below `replayAfter`:
   * what a failed append left, or a tail that the other replicas do not share.
   */
  readonly cutAfter?: number
}

export type LogSettings = Required<Omit<LogOptions, 'fileSystem' | 'journal'>> & {
  readonly files: LogFileSystem
  readonly journal: FrameJournal | undefined
}

export function settingsOf(options: LogOptions): LogSettings {
  const settings: LogSettings = {
    directory: options.directory,
    clusterId: options.clusterId,
    shard: options.shard,
    files: options.fileSystem ?? nodeFileSystem,
    journal: options.journal,
    segmentBytesMin: options.segmentBytesMin ?? SEGMENT_BYTES_MIN,
    segmentBytesMax: options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
    frameBytesMax: options.frameBytesMax ?? FRAME_BYTES_MAX,
    onRoom: options.onRoom ?? (() => undefined),
    schedule: options.schedule ?? scheduleWithTimer,
  }
  const { segmentBytesMin, segmentBytesMax, frameBytesMax, shard } = settings
  const isSound =
    Buffer.byteLength(settings.clusterId) <= CLUSTER_ID_BYTES_MAX &&
    Number.isInteger(shard) &&
    shard >= 0 &&
    shard <= 0xffff_ffff &&
    Number.isInteger(segmentBytesMin) &&
    segmentBytesMin > SEGMENT_HEADER_BYTES &&
    Number.isInteger(segmentBytesMax) &&
    segmentBytesMax >= segmentBytesMin &&
    Number.isInteger(frameBytesMax) &&
    frameBytesMax > FRAME_HEADER_BYTES
  if (!isSound) throw new LogMisuse('These options of a log contradict each other or its limits.')
  return settings
}

/** Twice the current capacity up to the maximum, but always enough for the frame at hand. */
export function nextCapacityBytes(
  settings: LogSettings,
  currentBytes: number,
  frameBytes: number,
): number {
  let capacityBytes = Math.max(
    Math.min(2 * currentBytes, settings.segmentBytesMax),
    settings.segmentBytesMin,
  )
  while (capacityBytes < SEGMENT_HEADER_BYTES + frameBytes) capacityBytes *= 2
  return capacityBytes
}

export const scheduleWithTimer: Schedule = (action, delayMs) => {
  const timer = setTimeout(action, delayMs)
  timer.unref()
  return () => clearTimeout(timer)
}
