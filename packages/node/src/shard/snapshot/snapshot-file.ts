/**
 * A snapshot in a file. The format of its pages is that of `page.ts`; here is only what frames them:
 *
 *   [8 magic][u32 format version][u32 bytes][u32 checksum][head as JSON]
 *   [u32 bytes][page] …
 *   [u32 0][u32 bytes][u32 checksum][end as JSON]
 *
 * The head tells whose it is and from where on the log goes with it. A file has its name only when it is
 * whole and on the disk; whatever else is found in it then is damage, and it is not used (P8).
 */
import { crc32 } from 'node:zlib'
import type { LogFile, LogFileSystem } from '../log/file-system.js'
import { readWhole, writeWhole } from '../log/whole-io.js'
import { PAGE_BYTES_SOFT, readRows, ROW_KINDS, SnapshotDamage } from './page.js'
import type { SnapshotBegin, SnapshotEnd, SnapshotPart } from './parts.js'
import { assertWhole } from './state-build.js'

const MAGIC = Buffer.from('kvsnapsh', 'latin1')
const FORMAT_VERSION = 1
const LENGTH_BYTES = 4
/** Length and checksum of a record that is JSON. */
const RECORD_HEADER_BYTES = 8
const FIXED_BYTES = MAGIC.length + 4
/** 240 epochs take about 10 KB. */
const RECORD_BYTES_MAX = 65_536
/** Beyond the soft limit there is at most one row: a session of some MiB, or an entry. */
const PAGE_BYTES_MAX: number = PAGE_BYTES_SOFT + 8 * 1_048_576
/** What is written is synced in parts, so that the log never waits behind all of it. */
const UNSYNCED_BYTES_MAX = 4 * 1_048_576

export interface SnapshotHead {
  readonly clusterId: string
  readonly shard: number
  /** When it was begun, in epoch milliseconds. */
  readonly takenAtMs: number
  readonly begin: SnapshotBegin
}

/** Writes a file that is not there yet, under a name that nobody looks for. */
export class SnapshotFileWriter {
  private readonly file: LogFile
  private offset = 0
  private syncedTo = 0

  private constructor(file: LogFile) {
    this.file = file
  }

  static async create(
    files: LogFileSystem,
    path: string,
    head: SnapshotHead,
  ): Promise<SnapshotFileWriter> {
    const writer = new SnapshotFileWriter(await files.open(path, 'create'))
    try {
      const version = Buffer.alloc(4)
      version.writeUInt32LE(FORMAT_VERSION)
      await writer.write(Buffer.concat([MAGIC, version, recordOf(head)]))
      return writer
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  get bytes(): number {
    return this.offset
  }

  async page(page: Buffer): Promise<void> {
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32LE(page.length)
    await this.write(length)
    await this.write(page)
    if (this.offset - this.syncedTo >= UNSYNCED_BYTES_MAX) await this.sync()
  }

  /** The content is whole, and on the disk. */
  async end(end: SnapshotEnd): Promise<void> {
    await this.write(Buffer.concat([Buffer.alloc(LENGTH_BYTES), recordOf(end)]))
    await this.sync()
  }

  close(): Promise<void> {
    return this.file.close()
  }

  private async write(bytes: Buffer): Promise<void> {
    await writeWhole(this.file, bytes, this.offset)
    this.offset += bytes.length
  }

  private async sync(): Promise<void> {
    await this.file.sync()
    this.syncedTo = this.offset
  }
}

function recordOf(value: object): Buffer {
  const text = Buffer.from(JSON.stringify(value))
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  header.writeUInt32LE(text.length, 0)
  header.writeUInt32LE(crc32(text), 4)
  return Buffer.concat([header, text])
}

interface Identity {
  readonly clusterId: string
  readonly shard: number
}

/** Reads a file from its beginning. What is not as it was written is `SnapshotDamage`. */
export class SnapshotFileReader {
  readonly head: SnapshotHead
  private readonly file: LogFile
  private offset: number
  private readonly sizeBytes: number

  private constructor(file: LogFile, head: SnapshotHead, offset: number, sizeBytes: number) {
    this.file = file
    this.head = head
    this.offset = offset
    this.sizeBytes = sizeBytes
  }

  /** One of another shard or cluster is refused, like a damaged one. */
  static async open(
    files: LogFileSystem,
    path: string,
    identity: Identity,
  ): Promise<SnapshotFileReader> {
    const file = await files.open(path, 'read')
    try {
      const fixed = await readExactly(file, 0, FIXED_BYTES)
      if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) throw new SnapshotDamage('it is none')
      const version = fixed.readUInt32LE(MAGIC.length)
      if (version !== FORMAT_VERSION) throw new SnapshotDamage(`it is of format ${version}`)
      const { value, end } = await readRecord(file, FIXED_BYTES)
      const head = value as SnapshotHead
      if (head.clusterId !== identity.clusterId || head.shard !== identity.shard) {
        throw new SnapshotDamage(
          `it is of shard ${head.shard} of cluster ${head.clusterId}, ` +
            `not of shard ${identity.shard} of cluster ${identity.clusterId}`,
        )
      }
      return new SnapshotFileReader(file, head, end, await file.size())
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get bytes(): number {
    return this.sizeBytes
  }

  /** Its pages and its end; the beginning is in the head. A page is whole, its rows are unverified. */
  async *parts(): AsyncGenerator<Exclude<SnapshotPart, { type: 'snapshotBegin' }>, void, void> {
    for (;;) {
      const length = (await readExactly(this.file, this.offset, LENGTH_BYTES)).readUInt32LE(0)
      this.offset += LENGTH_BYTES
      if (length === 0) break
      if (length > PAGE_BYTES_MAX) throw new SnapshotDamage(`a page of ${length} bytes`)
      const page = await readExactly(this.file, this.offset, length)
      this.offset += length
      yield { type: 'snapshotPage', page }
    }
    const { value, end } = await readRecord(this.file, this.offset)
    if (end !== this.sizeBytes) throw new SnapshotDamage('something follows its end')
    yield { type: 'snapshotEnd', end: value as SnapshotEnd }
  }

  close(): Promise<void> {
    return this.file.close()
  }
}

/** Reads all of it to see whether it could be used. Throws `SnapshotDamage` if not. */
export async function checkSnapshotFile(reader: SnapshotFileReader): Promise<SnapshotEnd> {
  let checksum = 0
  const counts = { entries: 0, sessions: 0 }
  for await (const part of reader.parts()) {
    if (part.type === 'snapshotEnd') {
      assertWhole(part.end, { ...counts, checksum })
      return part.end
    }
    const read = readRows(part.page, checksum)
    checksum = read.checksum
    for (const { kind } of read.rows) {
      counts[kind === ROW_KINDS.session ? 'sessions' : 'entries'] += 1
    }
  }
  throw new SnapshotDamage('it has no end')
}

async function readRecord(
  file: LogFile,
  offset: number,
): Promise<{ readonly value: unknown; readonly end: number }> {
  const header = await readExactly(file, offset, RECORD_HEADER_BYTES)
  const length = header.readUInt32LE(0)
  if (length > RECORD_BYTES_MAX) throw new SnapshotDamage('its head or its end is not readable')
  const text = await readExactly(file, offset + RECORD_HEADER_BYTES, length)
  if (crc32(text) !== header.readUInt32LE(4)) {
    throw new SnapshotDamage('its head or its end fails its checksum')
  }
  return { value: JSON.parse(text.toString()), end: offset + RECORD_HEADER_BYTES + length }
}

async function readExactly(file: LogFile, offset: number, length: number): Promise<Buffer> {
  const bytes = await readWhole(file, offset, length)
  if (bytes.length < length) throw new SnapshotDamage('the file ends too early')
  return bytes
}
