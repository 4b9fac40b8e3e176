/**
 * Brings the frames that a journal holds into the segments they belong to, where an unclean end may
 * have left them out. Writing them again where they are already changes nothing.
 */
import { join } from 'node:path'
import { hasCode, type LogFileSystem } from '../log/file-system.js'
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../log/segment-header.js'
import { segmentName } from '../log/segment.js'
import { readWhole, withFile, writeWhole } from '../log/whole-io.js'
import type { JournalRecord } from './block.js'

/** `records` are those of one log, in the order they were written. */
export async function redo(
  files: LogFileSystem,
  logDirectory: string,
  records: readonly JournalRecord[],
): Promise<void> {
  const segments = new Set(records.map((record) => record.firstRevision))
  for (const firstRevision of segments) {
    const ofSegment = records.filter((record) => record.firstRevision === firstRevision)
    await redoSegment(files, join(logDirectory, segmentName(firstRevision)), ofSegment)
  }
}

async function redoSegment(
  files: LogFileSystem,
  path: string,
  records: readonly JournalRecord[],
): Promise<void> {
  let opened
  try {
    opened = await files.open(path, 'durable')
  } catch (error) {
    // A segment goes when the state has all of it.
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  await withFile(opened, async (file) => {
    const decoded = decodeSegmentHeader(await readWhole(file, 0, SEGMENT_HEADER_BYTES))
    // Opening the log says what is wrong with it.
    if (decoded.kind !== 'header') return
    const { salt, capacityBytes } = decoded.header
    const ours = records.filter(
      (record) => record.salt === salt && record.offset + record.bytes.length <= capacityBytes,
    )
    for (const { offset, bytes } of joined(ours)) await writeWhole(file, bytes, offset)
  })
}

/** Frames that follow each other are written at once: each write is a sync. */
function joined(records: readonly JournalRecord[]): { offset: number; bytes: Buffer }[] {
  const runs: { offset: number; end: number; parts: Buffer[] }[] = []
  for (const { offset, bytes } of records) {
    const run = runs.at(-1)
    if (run?.end === offset) {
      run.parts.push(bytes)
      run.end += bytes.length
    } else {
      runs.push({ offset, end: offset + bytes.length, parts: [bytes] })
    }
  }
  return runs.map(({ offset, parts }) => ({ offset, bytes: Buffer.concat(parts) }))
}
