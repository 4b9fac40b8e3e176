/**
 * The journal as one log sees it. The log is bound to it by a name in its directory before the first
 * frame goes there, and until every frame is in its segments.
 */
import { join } from 'node:path'
import type { FrameJournal } from '../log/frame-journal.js'
import { hasCode, type LogFileSystem } from '../log/file-system.js'
import type { Journal } from './journal.js'
import { bindingName, bindingOf } from './names.js'

interface WritableLog {
  writeOut(): Promise<void>
  abandon(cause: Error): void
}

export class JournalMember implements FrameJournal {
  readonly shard: number
  private readonly journal: Journal
  private readonly files: LogFileSystem
  private readonly logDirectory: string
  private binding: string | undefined
  private log: WritableLog | undefined
  /** Frames that the journal was given and has not made durable. */
  private underWay = 0

  constructor(journal: Journal, files: LogFileSystem, shard: number, logDirectory: string) {
    this.journal = journal
    this.files = files
    this.shard = shard
    this.logDirectory = logDirectory
  }

  async bind(names: readonly string[]): Promise<void> {
    const { files, logDirectory, journal } = this
    const former = names.filter((name) => bindingOf(name) !== undefined)
    const binding = bindingName({ journal: journal.name, fromBlock: journal.nextBlock })
    if (!former.includes(binding)) {
      await (await files.open(join(logDirectory, binding), 'create')).close()
    }
    for (const name of former) if (name !== binding) await files.unlink(join(logDirectory, name))
    this.binding = binding
  }

  /** The log is open: what it appends is kept until it is written out. Before the first append. */
  join(log: WritableLog): void {
    this.log = log
    this.journal.admit(this)
  }

  async append(
    firstRevision: number,
    salt: number,
    offset: number,
    buffer: Buffer,
    frameBytes: number,
  ): Promise<void> {
    const bytes = buffer.subarray(0, frameBytes)
    this.underWay += 1
    try {
      await this.journal.append({ shard: this.shard, firstRevision, salt, offset, bytes })
    } finally {
      this.underWay -= 1
    }
  }

  sync(): Promise<void> | undefined {
    return this.journal.sync()
  }

  /** The journal has failed: so has its log. */
  fail(cause: Error): void {
    this.log?.abandon(cause)
  }

  /** The journal is given up if it is what the log waits for; a frame may also hang in its segment. */
  abandon(cause: Error): void {
    if (this.underWay > 0) this.journal.abandon(cause)
  }

  /** Brings every frame of the log into its segments; a log that was opened elsewhere needs none. */
  async writeOut(): Promise<void> {
    try {
      await this.log?.writeOut()
    } catch (error) {
      if (await this.isBound()) throw error
      this.journal.dismiss(this)
    }
  }

  private async isBound(): Promise<boolean> {
    const names = await this.files.readDirectory(this.logDirectory)
    return this.binding !== undefined && names.includes(this.binding)
  }

  async release(): Promise<void> {
    this.journal.dismiss(this)
    if (this.binding === undefined) return
    try {
      await this.files.unlink(join(this.logDirectory, this.binding))
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
}
