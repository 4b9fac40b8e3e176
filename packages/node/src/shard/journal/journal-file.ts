/** One of the two files of a journal: written in full beforehand, and open for durable writes. */
import type { LogFile, LogFileSystem } from '../log/file-system.js'
import { removeLeftover, writeFullSize } from '../log/segment.js'
import { writeZeros } from '../log/whole-io.js'

export class JournalFile {
  readonly file: LogFile
  /** Where the next block goes. */
  endBytes = 0
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
  ): Promise<JournalFile> {
    await writeFullSize(files, path, Buffer.alloc(0), capacityBytes)
    return new JournalFile(files, path, await files.open(path, 'durable'), capacityBytes)
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

  close(): Promise<void> {
    return this.file.close()
  }

  async remove(): Promise<void> {
    await this.file.close()
    await removeLeftover(this.files, this.path)
  }
}
