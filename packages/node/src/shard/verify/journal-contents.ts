/**
 * What the journals of a volume hold of the logs that are bound to them, looked at and not redone.
 */
import { join } from 'node:path'
import { CLOSING_MARK_NAME } from '../log/closing-mark.js'
import { LogDamage } from '../log/errors.js'
import type { LogFileSystem } from '../log/file-system.js'
import { segmentName } from '../log/segment.js'
import type { Block, ReadRecord } from '../journal/block.js'
import { readJournal } from '../journal/content.js'
import { bindingOf } from '../journal/names.js'

export class JournalContents {
  private readonly files: LogFileSystem
  private readonly directory: string
  private readonly read = new Map<string, Promise<readonly Block[]>>()

  constructor(files: LogFileSystem, volume: string) {
    this.files = files
    this.directory = join(volume, 'journals')
  }

  /** How many journals were needed so far. */
  get count(): number {
    return this.read.size
  }

  /** Frames of the log that may be missing in its segments. Rejects with `LogDamage`. */
  async recordsOf(shard: number, logDirectory: string): Promise<readonly ReadRecord[]> {
    const names = await this.files.readDirectory(logDirectory)
    // A log that was closed cleanly has all its frames.
    if (names.includes(CLOSING_MARK_NAME)) return []
    const records: ReadRecord[] = []
    for (const { journal, fromBlock } of names.flatMap((name) => bindingOf(name) ?? [])) {
      for (const block of await this.blocksOf(journal)) {
        if (block.number < fromBlock) continue
        records.push(...block.records.filter((record) => record.shard === shard))
      }
    }
    const damaged = records.find((record) => !record.isSound)
    if (damaged === undefined) return records
    const segment = join(logDirectory, segmentName(damaged.firstRevision))
    throw new LogDamage('bad-journal-frame', segment, damaged.offset)
  }

  private blocksOf(name: string): Promise<readonly Block[]> {
    const known = this.read.get(name)
    if (known !== undefined) return known
    const reading = readJournal(this.files, this.directory, name)
    this.read.set(name, reading)
    return reading
  }
}
