/**
 * The durable log of one shard: frames appended one at a time, each durable when its append resolves
 * (P1), read back in order, dropped from the old end in whole segments.
 *
 * An append is one write at a known place: the frame is encoded in the caller's buffer, the file has
 * its full size already, and it is open such that a write is durable when it returns. With a journal
 * that file is the journal's, shared with other logs, and the segment is written behind. Only a roll
 * to the next segment and the first append after opening do more.
 *
 * The log does not know what frames contain, decides nothing about epochs, and never cuts itself
 * while it is open: after a failure it is opened again, if need be with `cutAfter`.
 */
import { join } from 'node:path'
import { CLOSING_MARK_NAME, encodeClosingMark } from './closing-mark.js'
import { createDirectory } from './creation.js'
import { withEpoch, type EpochStart } from './epoch-table.js'
import { LogFailed, LogMisuse, LogNoRoom } from './errors.js'
import { encodeFrame, FRAME_HEADER_BYTES, isFrameMeta, lastRevisionOf } from './frame.js'
import type { FrameHeader, FrameMeta, LogFrame } from './frame.js'
import { NextSegment } from './next-segment.js'
import { openDirectory, removeMark, type OpenedLog } from './opening.js'
import { nextCapacityBytes, settingsOf } from './options.js'
import type { CreateLogOptions, LogSettings, OpenLogOptions } from './options.js'
import { continuationFault, LOG_START, type LogPosition } from './position.js'
import { positionAtOrBefore } from './position-search.js'
import { LogReader } from './reader.js'
import { ActiveSegment, newSalt, temporaryPath, writeFullSize } from './segment.js'
import { Segments } from './segments.js'

export interface AppendOptions {
  /** The frame begins an epoch and leaves revisions out before it. */
  readonly jump?: boolean
  /** Of a frame that another copy has: should it come out otherwise, nothing is written. */
  readonly checksum?: number
  /** Gets the frame when its write begins. It must not keep the append from beginning: no throw. */
  readonly onBegin?: (frame: LogFrame) => void
}

export class Log {
  readonly #settings: LogSettings
  readonly #segments: Segments
  readonly #next: NextSegment
  #last: LogPosition
  #epochs: readonly EpochStart[]
  /** The record of the last clean close is still there; it goes before anything is written. */
  #isMarked: boolean
  /** Set once, for ever: nothing is written to this log again. */
  #failure: LogFailed | undefined
  /** Rejects the append under way; at most one is (one frame of a log is unsynced at a time). */
  #rejectAppend: ((error: Error) => void) | undefined
  /** Ends with the append under way and never rejects. */
  #writing: Promise<void> = Promise.resolve()
  #dropping: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined
  #isClosedCleanly = false

  private constructor(settings: LogSettings, opened: OpenedLog) {
    const { files, directory, schedule, onRoom } = settings
    this.#settings = settings
    this.#segments = new Segments(files, directory, opened.complete, opened.active)
    this.#next = new NextSegment({ files, directory, schedule, onRoom })
    this.#last = opened.last
    this.#epochs = opened.epochs
    this.#isMarked = opened.isMarked
  }

  /** Makes a new log. A directory that holds one already is refused. */
  static async create(options: CreateLogOptions): Promise<Log> {
    const settings = settingsOf(options)
    const start = options.start ?? { position: LOG_START, epochs: [] }
    const capacityBytes = settings.segmentBytesMin
    const active = await createDirectory({ ...settings, capacityBytes, start })
    const { position: last, epochs } = start
    return new Log(settings, { complete: [], active, last, epochs, isMarked: false })
  }

  /** Opens the log in a directory. A directory that holds none is damage, never a new log. */
  static async open(options: OpenLogOptions): Promise<Log> {
    const settings = settingsOf(options)
    const { replayAfter, cutAfter, onFrame, journaled = [] } = options
    const opening = { ...settings, replayAfter, cutAfter, onFrame, journaled }
    return new Log(settings, await openDirectory(opening))
  }

  /** The last durable frame. */
  get last(): LogPosition {
    return this.#last
  }

  get lastRevision(): number {
    return this.#last.revision
  }

  get lastEpoch(): number {
    return this.#last.epoch
  }

  get epochTable(): readonly EpochStart[] {
    return this.#epochs
  }

  /** The oldest revision that can be read. */
  get firstRevision(): number {
    return this.#segments.firstRevision
  }

  get bytesOnDisk(): number {
    return this.#segments.bytesOnDisk + this.#next.bytesOnDisk
  }

  /** Why the next segment cannot be prepared, while it cannot. */
  get spaceError(): Error | undefined {
    return this.#next.error
  }

  /** Why the log takes no more appends, once it does not. */
  get failure(): LogFailed | undefined {
    return this.#failure
  }

  /**
   * False only while the next segment cannot be prepared and the frame does not fit the current one.
   * An append that finds no room nevertheless rejects with `LogNoRoom` and may be repeated.
   */
  hasRoomFor(bodyBytes: number): boolean {
    return (
      this.#next.error === undefined || this.#segments.active.fits(FRAME_HEADER_BYTES + bodyBytes)
    )
  }

  /**
   * Appends the frame whose body lies in `buffer` at `FRAME_HEADER_BYTES`; the header is written in
   * front of it. Resolves when the frame is durable. The buffer must not change any more: what is
   * written behind is written from it.
   */
  append(
    buffer: Buffer,
    bodyBytes: number,
    meta: FrameMeta,
    options: AppendOptions = {},
  ): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#closing !== undefined) return Promise.reject(new LogFailed('The log is closing.'))
    if (this.#rejectAppend !== undefined) throw new LogMisuse('An append is under way already.')
    const header = this.#headerOf(meta, options)
    const frameBytes = FRAME_HEADER_BYTES + bodyBytes
    if (frameBytes > this.#settings.frameBytesMax || frameBytes > buffer.length) {
      throw new LogMisuse(`A frame of ${frameBytes} bytes is too long for the log or its buffer.`)
    }
    return new Promise((resolve, reject) => {
      this.#rejectAppend = reject
      this.#writing = this.#write(buffer, bodyBytes, header, options).then(resolve, reject)
    })
  }

  /**
   * The last durable frame at or before a revision; `undefined` if the log begins after it. Reads at
   * most one segment.
   */
  positionAtOrBefore(revision: number): Promise<LogPosition | undefined> {
    return positionAtOrBefore(this.#segments, this.#last, revision)
  }

  /** A cursor that may stand at the tail while appends go on. */
  reader(revision: number): LogReader {
    return new LogReader(this.#segments, revision)
  }

  /** The durable frames from the one that holds `revision`, up to the end as it is when reached. */
  async *readFrom(revision: number): AsyncGenerator<LogFrame, void, void> {
    const reader = this.reader(revision)
    try {
      for (let frame = await reader.next(); frame !== undefined; frame = await reader.next()) {
        yield frame
      }
    } finally {
      await reader.close()
    }
  }

  /**
   * Resolves when every frame whose append has resolved is durable. At once, unless the journal says
   * that a frame is written and syncs it later (`fsync: 'everysec'`).
   */
  async sync(): Promise<void> {
    if (!this.#isClosedCleanly) await this.#segments.active.sync()
  }

  /** Resolves when every frame is in its segment, durably, and the journal is not needed for it. */
  async writeOut(): Promise<void> {
    await this.#closing
    if (this.#isClosedCleanly) return
    if (this.#failure !== undefined) throw this.#failure
    try {
      await this.#segments.active.writeOut()
    } catch (error) {
      throw this.#fail(error)
    }
  }

  /** Deletes whole segments whose every revision is below `revision`, never the last one. */
  dropBefore(revision: number): Promise<void> {
    const dropped = this.#dropping.then(async () => {
      if (this.#failure !== undefined) throw this.#failure
      await this.#segments.dropBefore(revision)
    })
    this.#dropping = dropped.catch(() => undefined)
    return dropped
  }

  /**
   * Gives the log up, as after a sync that takes too long. The append under way rejects at once; its
   * call may still end some day, in a file that the next opening replaces.
   */
  abandon(cause: Error): void {
    const failure = this.#fail(cause)
    if (this.#rejectAppend === undefined) return
    this.#rejectAppend(failure)
    this.#settings.journal?.abandon(cause)
  }

  /** Waits for the append under way and records the clean close, unless the log has failed. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #headerOf(meta: FrameMeta, { jump = false }: AppendOptions): FrameHeader {
    const { epoch, firstRevision, count, timeMs } = meta
    const previousChecksum = this.#last.checksum
    const header = { epoch, firstRevision, count, timeMs, jump, previousChecksum }
    if (!isFrameMeta(header)) throw new LogMisuse('A number in the header of the frame is invalid.')
    const fault = continuationFault(this.#last, header)
    if (fault !== undefined) throw new LogMisuse(`The frame does not continue the log (${fault}).`)
    return header
  }

  async #write(
    buffer: Buffer,
    bodyBytes: number,
    header: FrameHeader,
    { checksum: expected, onBegin }: AppendOptions,
  ): Promise<void> {
    const frameBytes = FRAME_HEADER_BYTES + bodyBytes
    try {
      let { active } = this.#segments
      if (this.#isMarked || !active.fits(frameBytes)) active = await this.#makeReady(frameBytes)
      const checksum = encodeFrame(buffer, bodyBytes, header, active.segment.salt)
      if (expected !== undefined && expected !== checksum) {
        throw new LogMisuse('The frame has another checksum than where it came from.')
      }
      if (onBegin !== undefined) {
        onBegin({ ...header, body: buffer.subarray(FRAME_HEADER_BYTES, frameBytes), checksum })
      }
      await active.append(buffer, frameBytes)
      // Were a jump lost, the next would leave out the same revisions, and give again what follows them.
      if (header.jump) await active.sync()
      this.#assertUsable()
      this.#last = { epoch: header.epoch, revision: lastRevisionOf(header), checksum }
      this.#epochs = withEpoch(this.#epochs, header.epoch, header.firstRevision)
      this.#prepareInTime(active)
    } catch (error) {
      // Nothing was written for want of room: the log is as it was.
      if (error instanceof LogNoRoom) throw error
      throw this.#fail(error)
    } finally {
      this.#rejectAppend = undefined
    }
  }

  /** What stands before a write: the mark of a clean close, or a segment without room. */
  async #makeReady(frameBytes: number): Promise<ActiveSegment> {
    const { files, directory } = this.#settings
    if (this.#isMarked) {
      await removeMark(files, directory)
      this.#isMarked = false
      this.#assertUsable()
    }
    if (!this.#segments.active.fits(frameBytes)) await this.#roll(frameBytes)
    return this.#segments.active
  }

  async #roll(frameBytes: number): Promise<void> {
    const { files, directory, clusterId, shard, journal } = this.#settings
    const full = this.#segments.active
    // A complete segment is whole for everybody who reads its file.
    await full.writeOut()
    const prepared = await this.#next.take(this.#nextCapacityBytes(full, frameBytes))
    try {
      this.#assertUsable()
      const next = await ActiveSegment.begin(
        files,
        directory,
        prepared,
        {
          clusterId,
          shard,
          salt: newSalt(),
          capacityBytes: prepared.capacityBytes,
          ordinal: full.isEmpty ? full.segment.ordinal : full.segment.ordinal + 1,
          previous: this.#last,
          epochs: this.#epochs,
        },
        journal,
      )
      this.#segments.roll(next)
    } catch (error) {
      await prepared.file.close()
      throw error
    }
    await full.close()
  }

  /** A file is made while there is time: a shard that writes little does not hold two for ever. */
  #prepareInTime(active: ActiveSegment): void {
    if (this.#closing !== undefined || !active.isHalfFull) return
    this.#next.begin(this.#nextCapacityBytes(active, 0))
  }

  #nextCapacityBytes(active: ActiveSegment, frameBytes: number): number {
    return nextCapacityBytes(this.#settings, active.segment.capacityBytes, frameBytes)
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #fail(cause: unknown): LogFailed {
    this.#failure ??= new LogFailed('The log failed and must be opened again.', { cause })
    void this.#next.stop()
    return this.#failure
  }

  async #close(): Promise<void> {
    if (this.#failure === undefined) await this.#writing
    const { active } = this.#segments
    if (this.#failure !== undefined) {
      // A file is not closed under a call that hangs in it: its number could be given to another.
      const closed = this.#writing.then(() => active.close())
      if (this.#rejectAppend === undefined) return closed
      void closed.catch(() => undefined)
      return undefined
    }
    this.#failure = new LogFailed('The log is closed.')
    try {
      await this.#next.stop()
      await this.#dropping
      await active.writeOut()
      if (!this.#isMarked) await this.#writeMark()
      this.#isClosedCleanly = true
      await this.#settings.journal?.release()
    } finally {
      await active.close()
    }
  }

  async #writeMark(): Promise<void> {
    const { files, directory } = this.#settings
    const path = temporaryPath(directory)
    const mark = encodeClosingMark(this.#last)
    await writeFullSize(files, path, mark, mark.length)
    await files.rename(path, join(directory, CLOSING_MARK_NAME))
    await files.syncDirectory(directory)
  }
}
