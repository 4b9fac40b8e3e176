/**
 * Opening a log directory: find the segments, check that they are ours and follow each other, replay
 * what the state has not applied, and leave a last segment that is safe to append to.
 *
 * Order matters, and each step leaves a directory that can be opened again:
 * 1. remove the temporary files of a crash;
 * 2. read every header, and only those segments entirely that hold revisions to replay;
 * 3. cut, where asked: later segments go newest first, so that what remains is always a prefix;
 * 4. after an unclean end, copy the live part of the last segment into a new file that replaces it:
 *    a sync that failed earlier may have left pages that look clean and are on no disk;
 * 5. sync the last segment and the directory. Only now may anything be served or counted.
 */
import { basename, join } from 'node:path'
import { CLOSING_MARK_NAME, decodeClosingMark } from './closing-mark.js'
import { withEpoch, type EpochStart } from './epoch-table.js'
import { LogDamage, LogRefused } from './errors.js'
import { hasCode, type LogFileSystem } from './file-system.js'
import { lastRevisionOf, type LogFrame } from './frame.js'
import type { FrameJournal } from './frame-journal.js'
import type { LogPosition } from './position.js'
import { cutSegment, recoverSegment } from './recovery.js'
import type { RecoveredSegment, SegmentPlace } from './recovery.js'
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.js'
import { readSegmentHeader, type LogIdentity } from './segment-identity.js'
import {
  ActiveSegment,
  describeSegment,
  firstRevisionOfName,
  isTemporaryName,
  temporaryPath,
  writeFullSize,
  type Segment,
} from './segment.js'
import { readStart } from './whole-io.js'

export interface Opening extends LogIdentity {
  readonly files: LogFileSystem
  readonly directory: string
  /** The revision that the state holds already; zero for none. */
  readonly replayAfter: number
  /** Frames after this revision are removed. It must be the last revision of a frame. */
  readonly cutAfter: number | undefined
  readonly onFrame: (frame: LogFrame) => void
  readonly journal: FrameJournal | undefined
  readonly segmentBytesMin: number
}

export interface OpenedLog {
  readonly complete: Segment[]
  readonly active: ActiveSegment
  readonly last: LogPosition
  readonly epochs: readonly EpochStart[]
  /** The record of a clean close is still there. */
  readonly isMarked: boolean
}

interface FoundSegment {
  readonly segment: Segment
  readonly header: SegmentHeader
}

/** Where the log ends: in which of the found segments, at which byte, with which bytes before it. */
interface FoundEnd {
  readonly index: number
  readonly last: LogPosition
  readonly epochs: readonly EpochStart[]
  readonly endBytes: number
  readonly bytes: Buffer
}

export async function openDirectory(opening: Opening): Promise<OpenedLog> {
  const { files, directory } = opening
  const names = await listDirectory(files, directory)
  const found = await readHeaders(opening, names)
  const mark = names.includes(CLOSING_MARK_NAME) ? await readMark(files, directory) : undefined
  const end = await replay(opening, found, mark)
  const isMarked = mark !== undefined && opening.cutAfter === undefined
  if (mark !== undefined && !isMarked) await removeMark(files, directory)
  await removeAfter(opening, found, end.index)
  const last = foundAt(found, end.index)
  const segment = isMarked
    ? last.segment
    : await rewrite(opening, last, end.bytes.subarray(0, end.endBytes))
  return {
    complete: found.slice(0, end.index).map((each) => each.segment),
    active: await openActive(opening, segment, end.endBytes),
    last: end.last,
    epochs: end.epochs,
    isMarked,
  }
}

async function openActive(
  { files, directory, journal }: Opening,
  segment: Segment,
  endBytes: number,
): Promise<ActiveSegment> {
  const file = await files.open(segment.path, 'durable')
  try {
    await file.sync()
    await files.syncDirectory(directory)
  } catch (error) {
    await file.close()
    throw error
  }
  return new ActiveSegment(segment, file, endBytes, journal)
}

/** The names in the directory, without the temporary files of a crash, which are removed. */
export async function listDirectory(files: LogFileSystem, directory: string): Promise<string[]> {
  const names = await files.readDirectory(directory)
  const leftovers = names.filter((name) => isTemporaryName(name))
  for (const name of leftovers) {
    try {
      await files.unlink(join(directory, name))
    } catch (error) {
      // A log that failed in this process may be removing its own file at the same time.
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
  return names.filter((name) => !isTemporaryName(name))
}

export async function removeMark(files: LogFileSystem, directory: string): Promise<void> {
  await files.unlink(join(directory, CLOSING_MARK_NAME))
  await files.syncDirectory(directory)
}

async function readMark(files: LogFileSystem, directory: string): Promise<LogPosition> {
  const path = join(directory, CLOSING_MARK_NAME)
  const mark = decodeClosingMark(await readStart(files, path, SEGMENT_HEADER_BYTES))
  if (mark === undefined) throw new LogDamage('bad-closing-mark', path, 0)
  return mark
}

async function readHeaders(opening: Opening, names: readonly string[]): Promise<FoundSegment[]> {
  const segmentNames = names.filter((name) => firstRevisionOfName(name) !== undefined).toSorted()
  const found: FoundSegment[] = []
  for (const name of segmentNames) {
    const path = join(opening.directory, name)
    const header = await readSegmentHeader(opening.files, path, opening)
    if (firstRevisionOfName(basename(path)) !== header.previous.revision + 1) {
      throw new LogDamage('misnamed-segment', path, 0)
    }
    const before = found.at(-1)?.segment
    if (before !== undefined && header.ordinal !== before.ordinal + 1) {
      throw new LogDamage('missing-segment', path, 0)
    }
    found.push({ segment: describeSegment(path, header), header })
  }
  const first = found[0]?.segment
  if (first === undefined) throw new LogDamage('no-segments', opening.directory, 0)
  if (first.previous.revision > opening.replayAfter) {
    throw new LogDamage('starts-late', first.path, 0)
  }
  return found
}

async function replay(
  opening: Opening,
  found: readonly FoundSegment[],
  mark: LogPosition | undefined,
): Promise<FoundEnd> {
  const { replayAfter, cutAfter } = opening
  const endIndex = cutAfter === undefined ? found.length - 1 : cutIndex(found, opening)
  const startIndex = found.findLastIndex(
    ({ segment }, index) => index <= endIndex && segment.previous.revision <= replayAfter,
  )
  for (let index = startIndex; ; index += 1) {
    const { segment, header } = foundAt(found, index)
    const bytes = await readStart(opening.files, segment.path, segment.capacityBytes)
    const whole = recover(segment, bytes, placeOf(found, index, mark))
    const kept = index === endIndex ? cut(whole, segment, cutAfter) : whole
    for (const frame of kept.frames) {
      if (lastRevisionOf(frame) > replayAfter) opening.onFrame(frame)
    }
    if (index < endIndex) continue
    if (kept.end.revision < replayAfter) {
      throw new LogDamage('ends-early', segment.path, kept.endBytes)
    }
    const epochs = kept.frames.reduce(
      (table, frame) => withEpoch(table, frame.epoch, frame.firstRevision),
      header.epochs,
    )
    return { index, last: kept.end, epochs, endBytes: kept.endBytes, bytes }
  }
}

function recover(segment: Segment, bytes: Buffer, place: SegmentPlace): RecoveredSegment {
  const { salt, previous } = segment
  const outcome = recoverSegment(bytes, { salt, previous, place })
  if (outcome.kind !== 'damaged') return outcome
  throw new LogDamage(outcome.damage, segment.path, outcome.offsetBytes)
}

function placeOf(
  found: readonly FoundSegment[],
  index: number,
  mark: LogPosition | undefined,
): SegmentPlace {
  const next = found[index + 1]?.segment
  if (next !== undefined) return { kind: 'complete', end: next.previous }
  return mark === undefined ? { kind: 'open' } : { kind: 'closed', end: mark }
}

/** The segment in which a cut log ends. */
function cutIndex(found: readonly FoundSegment[], { cutAfter = 0, replayAfter }: Opening): number {
  // A state that has applied what is cut cannot be undone: the replica must be rebuilt instead.
  if (cutAfter < replayAfter) throw cutRefused(cutAfter)
  const index = found.findLastIndex(({ segment }) => segment.previous.revision < cutAfter)
  return Math.max(index, 0)
}

function cut(
  whole: RecoveredSegment,
  segment: Segment,
  cutAfter: number | undefined,
): RecoveredSegment {
  if (cutAfter === undefined) return whole
  const kept = cutSegment(whole, segment.previous, cutAfter)
  if (kept === undefined) throw cutRefused(cutAfter)
  return kept
}

function cutRefused(cutAfter: number): LogRefused {
  return new LogRefused('cut-out-of-range', `The log cannot be cut after revision ${cutAfter}.`)
}

async function removeAfter(
  { files, directory }: Opening,
  found: readonly FoundSegment[],
  endIndex: number,
): Promise<void> {
  for (const { segment } of found.slice(endIndex + 1).toReversed()) {
    await files.unlink(segment.path)
    await files.syncDirectory(directory)
  }
}

/**
 * Copies the live part into a new file that takes the segment's place. The file is cut short, since
 * writing the zeros of a large one is most of what a failover waits for; the next is full size again.
 */
async function rewrite(
  { files, directory, segmentBytesMin }: Opening,
  { segment, header }: FoundSegment,
  live: Buffer,
): Promise<Segment> {
  const capacityBytes = Math.min(segment.capacityBytes, live.length + segmentBytesMin)
  const shorter = { ...header, capacityBytes }
  const path = temporaryPath(directory)
  encodeSegmentHeader(shorter).copy(live)
  await writeFullSize(files, path, live, capacityBytes)
  await files.rename(path, segment.path)
  return describeSegment(segment.path, shorter)
}

function foundAt(found: readonly FoundSegment[], index: number): FoundSegment {
  const each = found[index]
  if (each === undefined) throw new RangeError(`The log has no segment at index ${index}.`)
  return each
}
