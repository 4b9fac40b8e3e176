/**
 * One segment file. It is written with zeros to its full size before it is used, because a durable
 * write into blocks that exist costs half of one that makes the file grow. A file gets its name only
 * when it is whole: made under a temporary name, synced, renamed, directory synced.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { isUsableSalt } from './frame.js'
import type { LogFile, LogFileSystem } from './file-system.js'
import type { LogPosition } from './position.js'
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.js'
import { withFile, writeWhole, writeZeros } from './whole-io.js'

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

/** The segment that is being written. It knows bytes, not revisions. */
export class ActiveSegment {
  readonly segment: Segment
  readonly #file: LogFile
  #endBytes: number

  /** `file` is open for durable writes and belongs to this object from here on. */
  constructor(segment: Segment, file: LogFile, endBytes: number) {
    this.segment = segment
    this.#file = file
    this.#endBytes = endBytes
  }

  /** Turns a prepared file into a segment of its own name. An empty one of that name is replaced. */
  static async begin(
    files: LogFileSystem,
    directory: string,
    prepared: PreparedFile,
    header: SegmentHeader,
  ): Promise<ActiveSegment> {
    const path = join(directory, segmentName(header.previous.revision + 1))
    await writeWhole(prepared.file, encodeSegmentHeader(header), 0)
    await files.rename(prepared.path, path)
    await files.syncDirectory(directory)
    return new ActiveSegment(describeSegment(path, header), prepared.file, SEGMENT_HEADER_BYTES)
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

  /** Resolves when the first `frameBytes` of `buffer` are durable. Not to be called again before. */
  async append(buffer: Buffer, frameBytes: number): Promise<void> {
    await writeWhole(this.#file, buffer, this.#endBytes, frameBytes)
    this.#endBytes += frameBytes
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
