/**
 * Reads a log from its first frame to its last as opening it would, frames of the journal included,
 * and changes nothing. Other than opening, it reads every segment, not only what is to be replayed.
 */
import { basename, join } from 'node:path'
import { CLOSING_MARK_NAME, decodeClosingMark } from '../log/closing-mark.js'
import { LogDamage } from '../log/errors.js'
import type { LogFileSystem } from '../log/file-system.js'
import type { LogFrame } from '../log/frame.js'
import { LOG_START, type LogPosition } from '../log/position.js'
import { recoverSegment, type SegmentPlace } from '../log/recovery.js'
import { SEGMENT_HEADER_BYTES, type SegmentHeader } from '../log/segment-header.js'
import { readSegmentHeader, type LogIdentity } from '../log/segment-identity.js'
import { firstRevisionOfName } from '../log/segment.js'
import { readStart } from '../log/whole-io.js'
import type { JournalRecord } from '../journal/block.js'

export interface WalkedLog {
  readonly last: LogPosition
  /** The oldest revision that is still there. */
  readonly firstRevision: number
  readonly segments: number
  /** How many it holds: where an epoch begins with a jump, fewer than the numbers go over. */
  readonly revisions: number
  /** Whether its clean close is recorded. */
  readonly isClosed: boolean
}

export interface LogWalk extends LogIdentity {
  readonly files: LogFileSystem
  readonly directory: string
  /** What the journal holds of it. */
  readonly records: readonly JournalRecord[]
  onFrame(frame: LogFrame, segment: string): void
}

interface FoundSegment {
  readonly path: string
  readonly header: SegmentHeader
}

/** Rejects with `LogDamage` or `LogRefused`. */
export async function walkLog(walk: LogWalk): Promise<WalkedLog> {
  const names = await walk.files.readDirectory(walk.directory)
  const found = await readHeaders(walk, names)
  const mark = names.includes(CLOSING_MARK_NAME) ? await readMark(walk) : undefined
  let last: LogPosition = found[0]?.header.previous ?? LOG_START
  let revisions = 0
  const onFrame = (frame: LogFrame, path: string): void => {
    revisions += frame.count
    walk.onFrame(frame, path)
  }
  for (const [index, segment] of found.entries()) {
    last = await walkSegment({ ...walk, onFrame }, segment, placeOf(found, index, mark))
  }
  const firstRevision = (found[0]?.header.previous.revision ?? 0) + 1
  return { last, firstRevision, segments: found.length, revisions, isClosed: mark !== undefined }
}

async function readHeaders(walk: LogWalk, names: readonly string[]): Promise<FoundSegment[]> {
  const found: FoundSegment[] = []
  for (const name of names.filter((each) => firstRevisionOfName(each) !== undefined).toSorted()) {
    const path = join(walk.directory, name)
    const header = await readSegmentHeader(walk.files, path, walk)
    if (firstRevisionOfName(basename(path)) !== header.previous.revision + 1) {
      throw new LogDamage('misnamed-segment', path, 0)
    }
    const before = found.at(-1)?.header
    if (before !== undefined && header.ordinal !== before.ordinal + 1) {
      throw new LogDamage('missing-segment', path, 0)
    }
    found.push({ path, header })
  }
  if (found.length === 0) throw new LogDamage('no-segments', walk.directory, 0)
  return found
}

async function readMark({ files, directory }: LogWalk): Promise<LogPosition> {
  const path = join(directory, CLOSING_MARK_NAME)
  const mark = decodeClosingMark(await readStart(files, path, SEGMENT_HEADER_BYTES))
  if (mark === undefined) throw new LogDamage('bad-closing-mark', path, 0)
  return mark
}

function placeOf(
  found: readonly FoundSegment[],
  index: number,
  mark: LogPosition | undefined,
): SegmentPlace {
  const next = found[index + 1]?.header
  if (next !== undefined) return { kind: 'complete', end: next.previous }
  return mark === undefined ? { kind: 'open' } : { kind: 'closed', end: mark }
}

async function walkSegment(
  { files, records, ...walk }: LogWalk,
  { path, header }: FoundSegment,
  place: SegmentPlace,
): Promise<LogPosition> {
  const { salt, previous, capacityBytes } = header
  const bytes = await readStart(files, path, capacityBytes)
  for (const record of records) {
    const isHere = record.salt === salt && record.firstRevision === previous.revision + 1
    if (!isHere || record.offset + record.bytes.length > capacityBytes) continue
    bytes.set(record.bytes, record.offset)
  }
  const outcome = recoverSegment(bytes, { salt, previous, place })
  if (outcome.kind === 'damaged') throw new LogDamage(outcome.damage, path, outcome.offsetBytes)
  for (const frame of outcome.frames) walk.onFrame(frame, path)
  return outcome.end
}
