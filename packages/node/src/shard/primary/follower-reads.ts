/**
 * Reads of a primary's log for those who follow it: a bounded amount at a time, with a cursor for each
 * copy that goes on where it was.
 */
import { LogTrimmed } from '../log/errors.js'
import { FRAME_HEADER_BYTES, lastRevisionOf, type LogFrame } from '../log/frame.js'
import type { Log } from '../log/log.js'
import type { LogReader } from '../log/reader.js'

/** Bytes of frames that are read at once; one frame may pass it. */
const READ_BYTES_SOFT = 1_048_576

interface Cursor {
  readonly reader: LogReader
  nextRevision: number
  /** Ends with the read under way and never rejects. */
  reading: Promise<unknown>
}

export class FollowerReads {
  private readonly log: Pick<Log, 'reader'>
  private readonly cursors = new Map<number, Cursor>()

  constructor(log: Pick<Log, 'reader'>) {
    this.log = log
  }

  /**
   * Frames from a revision on, none at the durable end; `undefined` if they were dropped. A copy reads
   * once at a time.
   */
  read(copy: number, fromRevision: number): Promise<readonly LogFrame[] | undefined> {
    const cursor = this.cursorAt(copy, fromRevision)
    const frames = readSome(cursor)
    cursor.reading = frames.catch(() => undefined)
    return frames
  }

  private cursorAt(copy: number, fromRevision: number): Cursor {
    const known = this.cursors.get(copy)
    // It was sent frames from memory meanwhile.
    if (known !== undefined && known.nextRevision !== fromRevision) this.end(copy)
    else if (known !== undefined) return known
    const reader = this.log.reader(fromRevision)
    const cursor = { reader, nextRevision: fromRevision, reading: Promise.resolve() }
    this.cursors.set(copy, cursor)
    return cursor
  }

  /** The copy reads no more for now. */
  end(copy: number): void {
    const cursor = this.cursors.get(copy)
    if (cursor === undefined) return
    this.cursors.delete(copy)
    // A file is not closed under a read.
    void cursor.reading.then(() => cursor.reader.close()).catch(() => undefined)
  }

  close(): void {
    for (const copy of this.cursors.keys()) this.end(copy)
  }
}

async function readSome(cursor: Cursor): Promise<readonly LogFrame[] | undefined> {
  const frames: LogFrame[] = []
  try {
    for (let bytes = 0; bytes < READ_BYTES_SOFT;) {
      const frame = await cursor.reader.next()
      if (frame === undefined) break
      frames.push(frame)
      bytes += FRAME_HEADER_BYTES + frame.body.length
      cursor.nextRevision = lastRevisionOf(frame) + 1
    }
    return frames
  } catch (error) {
    if (error instanceof LogTrimmed) return undefined
    throw error
  }
}
