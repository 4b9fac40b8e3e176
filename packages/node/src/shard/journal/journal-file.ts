/**
 * One of the two files of a journal: written in full beforehand, and open for durable writes, or for
 * such as a sync makes durable.
 */
import type { Fsync } from '../../link/control.js'
import type { LogFile, LogFileSystem } from '../log/file-system.js'
import { removeLeftover, writeFullSize } from '../log/segment.js'
import { writeZeros } from '../log/whole-io.js'

export class JournalFile {
  readonly file: LogFile
  /** Where the next block goes. */
  endBytes = 0
  /** The block that lies at its start, or is going to. */
  firstBlock = 1
  private readonly files: LogFileSystem
  private readonly path: string
  private capacity: number

  private constructor(files: LogFileSystem, path: string, file: LogFile, capacityBytes: number) {
    this.files = files
    this.path = path
    this.file = file
    this.capacity = capacityBytes
  }

  static async create(
    files: LogFileSystem,
    path: string,
    capacityBytes: number,
    fsync: Fsync = 'always',
  ): Promise<JournalFile> {
    await writeFullSize(files, path, Buffer.alloc(0), capacityBytes)
    const file = await files.open(path, fsync === 'always' ? 'durable' : 'write')
    return new JournalFile(files, path, file, capacityBytes)
  }

  get capacityBytes(): number {
    return this.capacity
  }

  fits(bytes: number): boolean {
    return this.endBytes + bytes <= this.capacity
  }

  /** To be called while it is not in use. It stays as it is when the disk has no room. */
  async growTo(capacityBytes: number): Promise<void> {
    if (capacityBytes <= this.capacity) return
    try {
      await writeZeros(this.file, this.capacity, capacityBytes)
      this.capacity = capacityBytes
    } catch {
      // A small file does its work too, with more write-outs.
    }
  }

  /** Makes what was written durable, where a write alone does not. */
  sync(): Promise<void> {
    return this.file.sync()
  }

  close(): Promise<void> {
    return this.file.close()
  }

  async remove(): Promise<void> {
    await this.file.close()
    await removeLeftover(this.files, this.path)
  }
}
