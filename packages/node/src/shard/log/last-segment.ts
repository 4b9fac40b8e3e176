/**
 * Making the segment in which a log ends safe to append to.
 *
 * What is on the disk for certain is every frame but the last: of one log, one is unsynced at a time,
 * and what failed to be written behind is in the journal still. So after an unclean end what the journal
 * holds, and the last frame, are written again where they are: a sync that failed earlier may have left
 * pages that look clean and are on no disk, and to write them is what makes them dirty again. Nothing
 * else is changed, and rewriting the same bytes can't hurt them (see `recovery.ts`).
 *
 * Where bytes have to go, of a torn frame or of a cut, the live part is copied into a new file that takes
 * the segment's place: half of such a change would be read as damage. So it is where a write of an
 * abandoned log may still be on its way into the file (ADR 0023).
 */
import type { LogFile, LogFileSystem } from './file-system.js'
import type { FrameJournal } from './frame-journal.js'
import { encodeSegmentHeader, type SegmentHeader } from './segment-header.js'
import type { SegmentBytes } from './segment-scan.js'
import { ActiveSegment, describeSegment, temporaryPath, writeFullSize } from './segment.js'
import { writeWhole } from './whole-io.js'
import { isBeingWritten } from './writes-under-way.js'

export interface LastSegment {
  readonly header: SegmentHeader
  readonly content: SegmentBytes
  /** Open for durable writes. */
  readonly file: LogFile
  /** Where the next frame goes. */
  readonly endBytes: number
  readonly lastFrameAt: number
  /** Something lies behind the end that is to go. */
  readonly isCutShort: boolean
}

interface Ports {
  readonly files: LogFileSystem
  readonly directory: string
  readonly journal: FrameJournal | undefined
  readonly segmentBytesMin: number
}

/**
 * Resolves when every frame is durable in the segment, the log is bound to the journal, and the
 * directory is synced. On success `last.file` belongs to what is returned, or is closed.
 */
export async function readyToAppend(
  ports: Ports,
  last: LastSegment,
  { names, isMarked }: { readonly names: readonly string[]; readonly isMarked: boolean },
): Promise<ActiveSegment> {
  const { files, directory, journal } = ports
  const { segment } = last.content
  const mustCopy = !isMarked && (last.isCutShort || isBeingWritten(files, segment.path))
  if (mustCopy) return copied(ports, last, names)
  if (isMarked) await last.file.sync()
  else await writeAgain(last)
  await journal?.bind(names)
  await files.syncDirectory(directory)
  return new ActiveSegment(files, segment, last.file, last.endBytes, journal)
}

async function writeAgain({ content, file, lastFrameAt, endBytes }: LastSegment): Promise<void> {
  const from = Math.min(lastFrameAt, content.journaledFrom)
  if (from < endBytes) await writeWhole(file, await content.copy(from, endBytes), from)
}

/**
 * The new file is short, since writing the zeros of a large one is most of what a failover would wait
 * for; the next is full size again.
 */
async function copied(
  { files, directory, journal, segmentBytesMin }: Ports,
  { header, content, file, endBytes }: LastSegment,
  names: readonly string[],
): Promise<ActiveSegment> {
  const { path, capacityBytes: formerBytes } = content.segment
  const capacityBytes = Math.min(formerBytes, endBytes + segmentBytesMin)
  const shorter = { ...header, capacityBytes }
  const live = await content.copy(0, endBytes)
  encodeSegmentHeader(shorter).copy(live)
  const temporary = temporaryPath(directory)
  await writeFullSize(files, temporary, live, capacityBytes)
  await files.rename(temporary, path)
  await files.syncDirectory(directory)
  if (journal !== undefined) {
    // Not before the frames that only the former journal held are in a file that stays.
    await journal.bind(names)
    await files.syncDirectory(directory)
  }
  const copy = await files.open(path, 'durable')
  await file.close()
  return new ActiveSegment(files, describeSegment(path, shorter), copy, endBytes, journal)
}
