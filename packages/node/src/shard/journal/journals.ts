/**
 * The journals of a volume, as one child uses them: its own, which it writes, and those that others
 * left behind, from which it gives frames to the logs it opens.
 */
import { join } from 'node:path'
import type { Fsync } from '../../link/control.js'
import { hasCode, type LogFileSystem } from '../log/file-system.js'
import { CLOSING_MARK_NAME } from '../log/closing-mark.js'
import { LogDamage } from '../log/errors.js'
import type { JournaledFrame } from '../log/frame-journal.js'
import type { Schedule } from '../log/next-segment.js'
import { removeLeftover, segmentName } from '../log/segment.js'
import type { Block, ReadRecord } from './block.js'
import { readJournal } from './content.js'
import { Journal, type JournalOptions } from './journal.js'
import type { JournalMember } from './journal-member.js'
import { bindingOf, isJournalOf, journalOfFile, type Binding } from './names.js'

export interface JournalsOptions {
  readonly files: LogFileSystem
  /** Directory of the volume. */
  readonly volume: string
  readonly childId: number
  readonly fileBytesMin?: number
  readonly fileBytesMax?: number
  /** `always` unless said otherwise. What others left is read whichever it is of. */
  readonly fsync?: Fsync
  readonly schedule?: Schedule
}

/** What the opening of a log needs of journals. */
export interface JournalSource {
  /**
   * What journals hold of the log, in the order written: its segments may lack it. To be called when
   * nobody else can have the log open, which is to be opened with it.
   */
  framesOf(shard: number, logDirectory: string): Promise<readonly JournaledFrame[]>
  /** What the log is to append through; `undefined` if the disk has no room for a journal. */
  memberFor(shard: number, logDirectory: string): Promise<JournalMember | undefined>
}

interface Reading {
  readonly number: number
  readonly blocks: Promise<readonly Block[]>
}

export class Journals implements JournalSource {
  private readonly files: LogFileSystem
  private readonly childId: number
  private readonly volume: string
  private readonly options: JournalOptions
  private readonly directory: string
  private current: Promise<Journal> | undefined
  /** Of other writers, while logs are being opened from them. */
  private readonly readings = new Map<string, Reading>()
  private readingsBegun = 0

  constructor({ files, volume, childId, ...sizes }: JournalsOptions) {
    this.files = files
    this.childId = childId
    this.volume = volume
    this.directory = join(volume, 'journals')
    this.options = { files, childId, directory: this.directory, ...sizes }
  }

  /**
   * For logs that nobody else has open from now on. Only a reading that begins from here on knows all
   * of them: a writer that lives may have written after an earlier one, and left the log since.
   */
  fromNow(): JournalSource {
    const before = this.readingsBegun
    return {
      framesOf: (shard, logDirectory) => this.framesOf(shard, logDirectory, before),
      memberFor: (shard, logDirectory) => this.memberFor(shard, logDirectory),
    }
  }

  async framesOf(
    shard: number,
    logDirectory: string,
    before: number = this.readingsBegun,
  ): Promise<readonly JournaledFrame[]> {
    const names = await this.files.readDirectory(logDirectory)
    // A log that was closed cleanly has all its frames.
    if (names.includes(CLOSING_MARK_NAME)) return []
    const frames: JournaledFrame[] = []
    for (const binding of bindingsIn(names)) {
      for (const block of await this.blocksOf(binding.journal, before)) {
        if (block.number < binding.fromBlock) continue
        for (const record of block.records) if (record.shard === shard) frames.push(sound(record))
      }
    }
    return frames

    function sound(record: ReadRecord): JournaledFrame {
      if (record.isSound) return record
      const segment = join(logDirectory, segmentName(record.firstRevision))
      throw new LogDamage('bad-journal-frame', segment, record.offset)
    }
  }

  /** By a reading that is not one of the first `before`. */
  private async blocksOf(name: string, before: number): Promise<readonly Block[]> {
    const { files, directory, childId } = this
    // Its own grows while it is read: nobody may be given an older reading of it.
    if (isJournalOf(childId, name)) return readJournal(files, directory, name)
    const known = this.readings.get(name)
    if (known !== undefined && known.number > before) return known.blocks
    this.readingsBegun += 1
    const reading = {
      number: this.readingsBegun,
      blocks: readJournal(files, directory, name),
    }
    this.readings.set(name, reading)
    try {
      return await reading.blocks
    } finally {
      if (this.readings.get(name) === reading) this.readings.delete(name)
    }
  }

  async memberFor(shard: number, logDirectory: string): Promise<JournalMember | undefined> {
    try {
      const journal = await this.journal()
      return journal.memberFor(shard, logDirectory)
    } catch {
      // Logs are durable by themselves, with a sync each.
      return undefined
    }
  }

  private async journal(): Promise<Journal> {
    const { current } = this
    const known = await current?.catch(() => undefined)
    if (known !== undefined && known.failure === undefined) return known
    if (this.current !== current) return this.journal()
    void known?.close()
    const made = Journal.create(this.options)
    this.current = made
    if (current === undefined)
      void made.then((journal) => this.removeUnbound(journal.name)).catch(ignore)
    return made
  }

  /** Removes what former lives of this child left, unless a log is still bound to it. */
  private async removeUnbound(own: string): Promise<void> {
    const { files, directory, childId } = this
    const bound = new Set<string>()
    for (const logDirectory of await this.logDirectories()) {
      for (const binding of bindingsIn(await namesIn(files, logDirectory))) {
        bound.add(binding.journal)
      }
    }
    for (const file of await namesIn(files, directory)) {
      const name = journalOfFile(file)
      if (name === undefined || name === own || bound.has(name)) continue
      if (isJournalOf(childId, name)) await removeLeftover(files, join(directory, file))
    }
  }

  private async logDirectories(): Promise<string[]> {
    const found: string[] = []
    const shards = join(this.volume, 'shards')
    for (const shard of await namesIn(this.files, shards)) {
      for (const copy of await namesIn(this.files, join(shards, shard))) {
        found.push(join(shards, shard, copy, 'log'))
      }
    }
    return found
  }

  /** To be called once every log is closed. */
  async close(): Promise<void> {
    const journal = await this.current?.catch(() => undefined)
    await journal?.close()
  }
}

function bindingsIn(names: readonly string[]): Binding[] {
  return names.map(bindingOf).filter((binding) => binding !== undefined)
}

/** None, where there is no directory. Any other failure must not pass for «nothing is bound». */
async function namesIn(files: LogFileSystem, directory: string): Promise<string[]> {
  try {
    return await files.readDirectory(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return []
    throw error
  }
}

function ignore(): void {}
