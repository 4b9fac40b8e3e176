/**
 * The journal of a child: where the frames of all its logs become durable, with one sync for all
 * that are written at a time. Without it each log pays a sync of its own for a few entries (ADR 0004).
 *
 * Two files take turns. Before one is used again, every frame in it has been written to its segment;
 * if that can't be done the journal fails rather than overwrite what somebody may need. Its logs then
 * fail too, and are opened again with another journal.
 *
 * With `always` a block is durable when its write returns, and one is unsynced at a time. A file that is
 * used again begins with an empty block, on the disk before anything else of it is written over: a power
 * cut can tear the first frames, and parts of them among old blocks would look like damage. With
 * `everysec` blocks are synced up to a second later (`late-sync.ts`), and only those of the file in use
 * are unsynced: before it changes files it ends the full one with a block that says what is needed no
 * more, and syncs it (ADR 0030).
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import type { Fsync } from '../../link/control.js'
import { LogFailed } from '../log/errors.js'
import type { LogFileSystem } from '../log/file-system.js'
import { writeWhole } from '../log/whole-io.js'
import type { Schedule } from '../log/next-segment.js'
import { scheduleWithTimer } from '../log/options.js'
import {
  BLOCK_ALIGNMENT_BYTES,
  BLOCK_HEADER_BYTES,
  encodeBlock,
  JOURNAL_ID_BYTES,
  MARKED_HEADER_BYTES,
  paddedBytes,
  recordBytes,
  type JournalRecord,
} from './block.js'
import { JournalFile } from './journal-file.js'
import { JournalMember } from './journal-member.js'
import { LateSync } from './late-sync.js'
import { journalName, journalPaths } from './names.js'

/** Files begin small, so that a child starts quickly, and double while they are used. */
export const JOURNAL_FILE_BYTES_MIN: number = 1_048_576
export const JOURNAL_FILE_BYTES_MAX: number = 8_388_608
/** Frames beyond it go into the next block. A frame for a journal is at most half as long. */
export const BLOCK_BYTES_MAX: number = 524_288
/** Room that the block between two files takes, at the start of one or the end of the other. */
const EMPTY_BLOCK_BYTES = BLOCK_ALIGNMENT_BYTES

export interface JournalOptions {
  readonly files: LogFileSystem
  /** Where the journals of the volume are. */
  readonly directory: string
  readonly childId: number
  readonly fileBytesMin?: number
  readonly fileBytesMax?: number
  /** When a frame counts as written: `always` unless said otherwise. */
  readonly fsync?: Fsync
  /** A timer; it paces the syncs of `everysec`. */
  readonly schedule?: Schedule
}

interface Gathered {
  readonly record: JournalRecord
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Journal {
  readonly name: string
  private readonly id: Buffer
  private readonly fileBytesMax: number
  private readonly blockBytesMax: number
  private readonly files: LogFileSystem
  private active: JournalFile
  private idle: JournalFile
  /** Resolves when nothing in the idle file is needed any more. */
  private freeing: Promise<void> = Promise.resolve()
  /** The idle file holds frames that are to be written to their segments. */
  private mustFree = false
  private blockNumber = 1
  /** The first block that somebody may need, as far as `everysec` has it on the disk. */
  private neededFrom = 1
  private gathered: Gathered[] = []
  private isWriting = false
  private isScheduled = false
  private writing: Promise<void> = Promise.resolve()
  private failed: LogFailed | undefined
  private readonly members = new Map<number, JournalMember>()
  private readonly block: Buffer
  /** Of a journal of `everysec`. */
  private readonly late: LateSync | undefined

  private constructor(options: JournalOptions, id: Buffer, made: [JournalFile, JournalFile]) {
    this.id = id
    this.name = journalName(options.childId, id)
    this.files = options.files
    this.fileBytesMax = options.fileBytesMax ?? JOURNAL_FILE_BYTES_MAX
    this.late = options.fsync === 'everysec' ? this.newLateSync(options) : undefined
    this.blockBytesMax = Math.min(BLOCK_BYTES_MAX, made[0].capacityBytes - EMPTY_BLOCK_BYTES)
    this.block = Buffer.allocUnsafeSlow(this.blockBytesMax)
    this.active = made[0]
    this.idle = made[1]
  }

  private newLateSync({ schedule = scheduleWithTimer }: JournalOptions): LateSync {
    return new LateSync({
      sync: () => this.active.sync(),
      schedule,
      now: () => performance.now(),
      onFailure: (error) => this.fail(error),
    })
  }

  private get headerBytes(): number {
    return this.late === undefined ? BLOCK_HEADER_BYTES : MARKED_HEADER_BYTES
  }

  private blockBytes(records: readonly JournalRecord[]): number {
    return records.reduce((sum, { bytes }) => sum + recordBytes(bytes.length), this.headerBytes)
  }

  /** Room for the block that ends a full file. */
  private get reservedBytes(): number {
    return this.late === undefined ? 0 : EMPTY_BLOCK_BYTES
  }

  /** Makes a new journal; one that exists is only ever read. */
  static async create(options: JournalOptions): Promise<Journal> {
    const { files, directory, childId, fileBytesMin = JOURNAL_FILE_BYTES_MIN, fsync } = options
    const id = randomBytes(JOURNAL_ID_BYTES)
    await files.makeDirectory(directory)
    await files.syncDirectory(dirname(directory))
    const [first, second] = journalPaths(directory, journalName(childId, id), fsync)
    const made = await JournalFile.create(files, first, fileBytesMin, fsync)
    try {
      const other = await JournalFile.create(files, second, fileBytesMin, fsync)
      await files.syncDirectory(directory)
      return new Journal(options, id, [made, other])
    } catch (error) {
      await made.remove()
      throw error
    }
  }

  /** Why it takes no more frames, once it does not. */
  get failure(): LogFailed | undefined {
    return this.failed
  }

  /** What is appended from now on is in this block or a later one. */
  get nextBlock(): number {
    return this.blockNumber
  }

  /** What the log of `shard`, in `logDirectory`, appends through, once it is bound. */
  memberFor(shard: number, logDirectory: string): JournalMember {
    return new JournalMember(this, this.files, shard, logDirectory)
  }

  /** The frames of `member` have to be kept from now on; what its shard had here before, not. */
  admit(member: JournalMember): void {
    this.members.set(member.shard, member)
  }

  dismiss(member: JournalMember): void {
    if (this.members.get(member.shard) === member) this.members.delete(member.shard)
  }

  append(record: JournalRecord): Promise<void> {
    if (this.failed !== undefined) return Promise.reject(this.failed)
    return new Promise((resolve, reject) => {
      this.gathered.push({ record, resolve, reject })
      if (this.isWriting || this.isScheduled) return
      this.isScheduled = true
      // After the code that runs now, which may bring frames of other logs.
      queueMicrotask(() => {
        this.isScheduled = false
        this.writing = this.writeBlocks()
      })
    })
  }

  /**
   * Resolves when everything appended before the call is durable; `undefined` if it is already.
   */
  sync(): Promise<void> | undefined {
    return this.late?.sync()
  }

  /**
   * Takes no more frames, as after a write that does not end. What is in that write may still become
   * durable, for logs that have nobody else and wait for it.
   */
  abandon(cause: Error): void {
    this.fail(cause)
  }

  private async writeBlocks(): Promise<void> {
    this.isWriting = true
    while (this.gathered.length > 0 && this.failed === undefined) {
      const batch = this.takeBatch()
      try {
        await this.writeBlock(batch.map(({ record }) => record))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        const failure = this.fail(error)
        for (const { reject } of batch) reject(failure)
      }
    }
    this.isWriting = false
  }

  private takeBatch(): Gathered[] {
    let bytes = this.headerBytes
    let count = 0
    for (const { record } of this.gathered) {
      bytes += recordBytes(record.bytes.length)
      if (bytes > this.blockBytesMax) break
      count += 1
    }
    return this.gathered.splice(0, count)
  }

  private async writeBlock(records: readonly JournalRecord[]): Promise<void> {
    const { late } = this
    const isFull = !this.active.fits(paddedBytes(this.blockBytes(records)) + this.reservedBytes)
    // Taken before anything is awaited: who is bound meanwhile must not be bound to these blocks.
    const emptyNumber = this.blockNumber
    if (isFull) this.blockNumber += 1
    const number = this.blockNumber
    this.blockNumber += 1
    if (late?.late !== undefined) await late.late
    if (isFull) await this.changeFiles(emptyNumber)
    await this.write(number, records)
    // Not before: by now the frames of the other file have reached the logs they belong to.
    if (this.mustFree) this.free()
  }

  private async write(number: number, records: readonly JournalRecord[]): Promise<void> {
    const { active, block, late, id: journalId } = this
    const marks = late && { syncedThrough: late.syncedThrough, neededFrom: this.neededFrom }
    const bytes = encodeBlock(block, { journalId, number, marks }, records)
    await writeWhole(active.file, block, active.endBytes, bytes)
    active.endBytes += paddedBytes(bytes)
    late?.onWritten(number)
  }

  /**
   * What lies in the idle file is in segments. An empty block says so on the disk before frames are
   * written over it.
   */
  private async changeFiles(emptyNumber: number): Promise<void> {
    const { late } = this
    await this.freeing
    if (late === undefined) {
      this.swap(emptyNumber)
      await this.write(emptyNumber, [])
    } else {
      await this.endFull(emptyNumber, late)
      this.swap(emptyNumber + 1)
    }
  }

  /** From then on only the file in use is unsynced. */
  private async endFull(number: number, late: LateSync): Promise<void> {
    this.neededFrom = this.active.firstBlock
    await this.write(number, [])
    await late.sync()
  }

  private swap(firstBlock: number): void {
    const full = this.active
    this.active = this.idle
    this.active.endBytes = 0
    this.active.firstBlock = firstBlock
    this.idle = full
    this.mustFree = true
  }

  private free(): void {
    this.mustFree = false
    this.freeing = this.writeOutAll()
    this.freeing.catch((error: unknown) => this.fail(error))
  }

  private async writeOutAll(): Promise<void> {
    for (const member of this.members.values()) await member.writeOut()
    await this.idle.growTo(Math.min(2 * this.idle.capacityBytes, this.fileBytesMax))
  }

  private fail(cause: unknown): LogFailed {
    const isFirst = this.failed === undefined
    this.failed ??= new LogFailed('The journal failed; its logs must be opened again.', { cause })
    for (const { reject } of this.gathered.splice(0)) reject(this.failed)
    // What they have acknowledged is on no disk until they are opened again: at once, not when they
    // are written to next.
    if (isFirst && this.late !== undefined) {
      this.late.end()
      for (const member of this.members.values()) member.fail(this.failed)
    }
    return this.failed
  }

  /** Waits for what is under way. The files go if no log is bound to them. */
  async close(): Promise<void> {
    await this.writing
    await this.freeing.catch(() => undefined)
    this.late?.end()
    this.failed ??= new LogFailed('The journal is closed.')
    const isNeeded = this.members.size > 0
    // Whoever opens its logs brings what it holds to the disk. Until then, this does.
    if (isNeeded) await this.late?.sync().catch(() => undefined)
    for (const file of [this.active, this.idle]) await (isNeeded ? file.close() : file.remove())
  }
}
