/**
 * One segment file. It is written with zeros to its full size before it is used, because a durable
 * write into blocks that exist costs half of one that makes the file grow. A file gets its name only
 * when it is whole: made under a temporary name, synced, renamed, directory synced.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { isUsableSalt } from './frame.js'
import type { LogFile, LogFileSystem } from './file-system.js'
import type { FrameJournal } from './frame-journal.js'
import type { LogPosition } from './position.js'
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.js'
import { withFile, writeWhole, writeZeros } from './whole-io.js'
import { noteWrite } from './writes-under-way.js'

/** What is kept in memory of each segment of a log. */
export interface Segment {
  readonly path: string
  readonly salt: number
  readonly capacityBytes: number
  readonly ordinal: number
  readonly previous: LogPosition
}

/** A file of zeros, open for durable writes, that will become a segment. */
export interface PreparedFile {
  readonly path: string
  readonly file: LogFile
  readonly capacityBytes: number
}

/** A longer frame is written to its segment at once: writing it twice would cost more than a sync. */
const JOURNALED_FRAME_BYTES_MAX = 131_072

/** Frames are written behind once they are so many bytes together: few syncs, and little memory. */
const WRITE_OUT_BYTES = 262_144

/** When so much waits for the file, appends wait too. */
const BEHIND_BYTES_MAX = 4 * WRITE_OUT_BYTES

const SEGMENT_NAME = /^(\d{20})\.log$/
const TEMPORARY_SUFFIX = '.tmp'

export function segmentName(firstRevision: number): string {
  return `${String(firstRevision).padStart(20, '0')}.log`
}

export function firstRevisionOfName(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Never used twice, so that a call that hung in an abandoned log cannot touch a later one's file. */
export function temporaryPath(directory: string): string {
  return join(directory, `${randomUUID()}${TEMPORARY_SUFFIX}`)
}

export function isTemporaryName(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX)
}

export function newSalt(): number {
  for (;;) {
    const salt = randomBytes(4).readUInt32LE()
    if (isUsableSalt(salt)) return salt
  }
}

export function describeSegment(path: string, header: SegmentHeader): Segment {
  const { salt, capacityBytes, ordinal, previous } = header
  return { path, salt, capacityBytes, ordinal, previous }
}

/** Creates `path` with `live` and zeros after it, synced. On failure the file is removed again. */
export async function writeFullSize(
  files: LogFileSystem,
  path: string,
  live: Buffer,
  capacityBytes: number,
): Promise<void> {
  const created = await files.open(path, 'create')
  try {
    await withFile(created, async (file) => {
      await writeWhole(file, live, 0)
      await writeZeros(file, live.length, capacityBytes)
      await file.sync()
    })
  } catch (error) {
    await removeLeftover(files, path)
    throw error
  }
}

/** On a full disk a leftover takes the room that is missing; if it stays, opening removes it. */
export async function removeLeftover(files: LogFileSystem, path: string): Promise<void> {
  try {
    await files.unlink(path)
  } catch {
    // The failure that led here is the one to report.
  }
}

/**
 * The segment that is being written. It knows bytes, not revisions.
 *
 * With a journal, a frame is there first, durable or about to be synced, and is *written behind*: it waits in memory until
 * enough has gathered for one write, or until somebody needs it in the file.
 */
export class ActiveSegment {
  readonly segment: Segment
  readonly #files: LogFileSystem
  readonly #file: LogFile
  readonly #journal: FrameJournal | undefined
  #endBytes: number
  /** Up to here the file holds what it should, durably. */
  #writtenBytes: number
  /** Frames that are durable in the journal and not in the file yet. */
  #behind: Buffer[] = []
  #writing: Promise<void> | undefined
  /** Why frames could not be written behind; they are in the journal only. */
  #failure: { readonly cause: unknown } | undefined

  /** `file` is open for durable writes and belongs to this object from here on. */
  constructor(
    files: LogFileSystem,
    segment: Segment,
    file: LogFile,
    endBytes: number,
    journal: FrameJournal | undefined,
  ) {
    this.#files = files
    this.segment = segment
    this.#file = file
    this.#endBytes = endBytes
    this.#writtenBytes = endBytes
    this.#journal = journal
  }

  /** Turns a prepared file into a segment of its own name. An empty one of that name is replaced. */
  static async begin(
    files: LogFileSystem,
    directory: string,
    prepared: PreparedFile,
    header: SegmentHeader,
    journal: FrameJournal | undefined,
  ): Promise<ActiveSegment> {
    const path = join(directory, segmentName(header.previous.revision + 1))
    await writeWhole(prepared.file, encodeSegmentHeader(header), 0)
    await files.rename(prepared.path, path)
    await files.syncDirectory(directory)
    const segment = describeSegment(path, header)
    return new ActiveSegment(files, segment, prepared.file, SEGMENT_HEADER_BYTES, journal)
  }

  /** Where the next frame goes; everything before it is durable. */
  get endBytes(): number {
    return this.#endBytes
  }

  get isEmpty(): boolean {
    return this.#endBytes === SEGMENT_HEADER_BYTES
  }

  get isHalfFull(): boolean {
    const { capacityBytes } = this.segment
    return 2 * (this.#endBytes - SEGMENT_HEADER_BYTES) >= capacityBytes - SEGMENT_HEADER_BYTES
  }

  fits(frameBytes: number): boolean {
    return this.#endBytes + frameBytes <= this.segment.capacityBytes
  }

  /** Whether a reader of the file finds everything before this byte. */
  holds(endBytes: number): boolean {
    return endBytes <= this.#writtenBytes
  }

  /**
   * Resolves when the first `frameBytes` of `buffer` are durable. Not to be called again before. The
   * memory must not change afterwards: the frame may have to be written from it.
   */
  async append(buffer: Buffer, frameBytes: number): Promise<void> {
    const journal = this.#journal
    if (journal === undefined || frameBytes > JOURNALED_FRAME_BYTES_MAX) {
      await this.writeOut()
      await this.#write(buffer, this.#endBytes, frameBytes)
      this.#endBytes += frameBytes
      this.#writtenBytes = this.#endBytes
      return
    }
    if (this.#failure !== undefined) throw this.#failure.cause
    if (this.#endBytes - this.#writtenBytes > BEHIND_BYTES_MAX) await this.writeOut()
    const { firstRevision, salt } = this.#place
    await journal.append(firstRevision, salt, this.#endBytes, buffer, frameBytes)
    this.#behind.push(buffer.subarray(0, frameBytes))
    this.#endBytes += frameBytes
    if (this.#endBytes - this.#writtenBytes >= WRITE_OUT_BYTES) {
      // The next append or write-out meets the error.
      this.writeOut().catch(() => undefined)
    }
  }

  get #place(): { firstRevision: number; salt: number } {
    const { previous, salt } = this.segment
    return { firstRevision: previous.revision + 1, salt }
  }

  /** Resolves when every frame appended before the call is durable, here or in the journal. */
  async sync(): Promise<void> {
    await this.#journal?.sync()
  }

  /** Resolves when every frame appended before the call is in the file, durably. */
  async writeOut(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    if (this.#failure !== undefined) throw this.#failure.cause
    if (this.#behind.length === 0) return
    this.#writing = this.#writeBehind().finally(() => {
      this.#writing = undefined
    })
    await this.#writing
  }

  async #writeBehind(): Promise<void> {
    const frames = this.#behind
    this.#behind = []
    const bytes = frames.length === 1 ? frames[0]! : Buffer.concat(frames)
    try {
      // Never what the journal may lose: it is from there that a torn write is mended.
      const syncing = this.#journal?.sync()
      if (syncing !== undefined) await syncing
      await this.#write(bytes, this.#writtenBytes, bytes.length)
    } catch (cause) {
      this.#failure = { cause }
      throw cause
    }
    this.#writtenBytes += bytes.length
  }

  /** The end of a write that hangs may come when the log is long abandoned. */
  async #write(bytes: Buffer, position: number, length: number): Promise<void> {
    const ended = noteWrite(this.#files, this.segment.path)
    try {
      await writeWhole(this.#file, bytes, position, length)
    } finally {
      ended()
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
