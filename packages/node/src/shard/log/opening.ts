/**
 * Opening a log directory: find the segments, check that they are ours and follow each other, replay
 * what the state has not applied, and leave a last segment that is safe to append to.
 *
 * Order matters, and each step leaves a directory that can be opened again:
 * 1. remove the temporary files of a crash;
 * 2. read every header, and only those segments that hold revisions to replay;
 * 3. cut, where asked: later segments go newest first, so that what remains is always a prefix;
 * 4. make the end of the last segment durable (`last-segment.ts`), and with it the directory. Only now
 *    may anything be served or counted.
 */
import { basename, join } from 'node:path'
import { CLOSING_MARK_NAME, decodeClosingMark } from './closing-mark.js'
import { withEpoch, type EpochStart } from './epoch-table.js'
import { LogDamage, LogRefused } from './errors.js'
import { hasCode, type LogFileSystem } from './file-system.js'
import { lastRevisionOf, type LogFrame } from './frame.js'
import type { FrameJournal, JournaledFrame } from './frame-journal.js'
import { readyToAppend, type LastSegment } from './last-segment.js'
import type { LogPosition } from './position.js'
import { cutSegment, type SegmentPlace } from './recovery.js'
import { SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.js'
import { readSegmentHeader, type LogIdentity } from './segment-identity.js'
import { recoverWhole, scanSegment, SegmentBytes, type ScannedSegment } from './segment-scan.js'
import {
  describeSegment,
  firstRevisionOfName,
  isTemporaryName,
  type ActiveSegment,
  type Segment,
} from './segment.js'
import { readStart, withFile } from './whole-io.js'

export interface Opening extends LogIdentity {
  readonly files: LogFileSystem
  readonly directory: string
  /** The revision that the state holds already; zero for none. */
  readonly replayAfter: number
  /** Frames after this revision are removed. It must be the last revision of a frame. */
  readonly cutAfter: number | undefined
  readonly onFrame: (frame: LogFrame) => void
  /** What a journal holds of the log. */
  readonly journaled: readonly JournaledFrame[]
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

/** Where the log ends: in which of the found segments, and where in that. */
interface FoundEnd extends Omit<LastSegment, 'header'> {
  readonly index: number
  readonly last: LogPosition
  readonly epochs: readonly EpochStart[]
}

export async function openDirectory(opening: Opening): Promise<OpenedLog> {
  const { files, directory } = opening
  const names = await listDirectory(files, directory)
  const found = await readHeaders(opening, names)
  const mark = names.includes(CLOSING_MARK_NAME) ? await readMark(files, directory) : undefined
  const end = await replay(opening, found, mark)
  const isMarked = mark !== undefined && opening.cutAfter === undefined
  try {
    if (mark !== undefined && !isMarked) await removeMark(files, directory)
    await removeAfter(opening, found, end.index)
    const { header } = foundAt(found, end.index)
    return {
      complete: found.slice(0, end.index).map((each) => each.segment),
      active: await readyToAppend(opening, { ...end, header }, { names, isMarked }),
      last: end.last,
      epochs: end.epochs,
      isMarked,
    }
  } catch (error) {
    await end.file.close()
    throw error
  }
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
  const paths = segmentNames.map((name) => join(opening.directory, name))
  const reading = paths.map((path) => readSegmentHeader(opening.files, path, opening))
  // The first that fails is told; the others must not fail unheard.
  await Promise.allSettled(reading)
  const found: FoundSegment[] = []
  for (const [index, path] of paths.entries()) {
    const header = await reading[index]!
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
  const { files, replayAfter, cutAfter } = opening
  const endIndex = cutAfter === undefined ? found.length - 1 : cutIndex(found, opening)
  const startIndex = found.findLastIndex(
    ({ segment }, index) => index <= endIndex && segment.previous.revision <= replayAfter,
  )
  const onFrame = (frame: LogFrame): void => {
    if (lastRevisionOf(frame) > replayAfter) opening.onFrame(frame)
  }
  for (let index = startIndex; index < endIndex; index += 1) {
    const { segment } = foundAt(found, index)
    // A complete segment needs no journal.
    await withFile(await files.open(segment.path, 'read'), (file) =>
      scanSegment(new SegmentBytes(segment, file, []), placeOf(found, index, mark), onFrame),
    )
  }
  return replayLast(opening, found, { index: endIndex, place: placeOf(found, endIndex, mark) })
}

interface LastPlace {
  readonly index: number
  readonly place: SegmentPlace
}

/** The segment in which the log ends stays open: what comes next is appended to it. */
async function replayLast(
  opening: Opening,
  found: readonly FoundSegment[],
  { index, place }: LastPlace,
): Promise<FoundEnd> {
  const { files, journaled, replayAfter, cutAfter } = opening
  const { segment, header } = foundAt(found, index)
  let { epochs } = header
  const onFrame = (frame: LogFrame): void => {
    epochs = withEpoch(epochs, frame.epoch, frame.firstRevision)
    if (lastRevisionOf(frame) > replayAfter) opening.onFrame(frame)
  }
  const file = await files.open(segment.path, 'durable')
  try {
    const content = new SegmentBytes(segment, file, journaled)
    const { kind, end, endBytes, lastFrameAt } =
      cutAfter === undefined
        ? await scanSegment(content, place, onFrame)
        : await scanCut(content, { place, cutAfter }, onFrame)
    if (end.revision < replayAfter) throw new LogDamage('ends-early', segment.path, endBytes)
    const isCutShort = kind === 'torn' || cutAfter !== undefined
    return { index, last: end, epochs, endBytes, lastFrameAt, isCutShort, content, file }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function scanCut(
  content: SegmentBytes,
  { place, cutAfter }: { readonly place: SegmentPlace; readonly cutAfter: number },
  onFrame: (frame: LogFrame) => void,
): Promise<ScannedSegment> {
  const whole = await recoverWhole(content, place)
  const kept = cutSegment(whole, content.segment.previous, cutAfter)
  if (kept === undefined) throw cutRefused(cutAfter)
  for (const frame of kept.frames) onFrame(frame)
  return { ...kept, lastFrameAt: SEGMENT_HEADER_BYTES }
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

function foundAt(found: readonly FoundSegment[], index: number): FoundSegment {
  const each = found[index]
  if (each === undefined) throw new RangeError(`The log has no segment at index ${index}.`)
  return each
}
