/**
 * The data file's length ahead of what LMDB writes, so that no write of LMDB fails for want of space.
 *
 * lmdb 3.5.6 overwrites memory of the process when one does: it makes its message in a buffer that is
 * too short (`mdb_page_flush`). So pages are written before a transaction that may need them, with
 * zeros, because a hole in a file takes no space yet. LMDB never looks behind its last page, and
 * writes over what is there. Where there is no room, nothing was handed to LMDB, and memory is whole.
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs'
import type { LogFileSystem } from '../log/file-system.js'
import { withFile, writeZeros } from '../log/whole-io.js'
import { StateDamage } from './stored-entry.js'

/** So that a growing file is not extended for every transaction. */
const STEP_BYTES = 262_144
const BLOCK_BYTES = 512

export class Reserve {
  private readonly path: string
  private readonly files: LogFileSystem
  /** Up to here the file has its space. */
  private reservedBytes: number

  private constructor(path: string, files: LogFileSystem, reservedBytes: number) {
    this.path = path
    this.files = files
    this.reservedBytes = reservedBytes
  }

  /**
   * Of a file that LMDB has begun and uses up to `usedBytes`: less than it is long, else it is damaged.
   * A new one gets the pages for its first trees at once.
   */
  static open(path: string, usedBytes: number, files: LogFileSystem): Reserve {
    const file = openSync(path, 'r+')
    try {
      const { size, blocks } = fstatSync(file)
      if (usedBytes > size) {
        throw new StateDamage(`${path} has ${size} bytes, of which ${usedBytes} are in use`)
      }
      // A copy of the file may have holes where it had zeros.
      let reserved = blocks * BLOCK_BYTES < size ? usedBytes : size
      const zeros = Buffer.alloc(Math.max(0, STEP_BYTES - reserved))
      for (let at = 0; at < zeros.length;) {
        const count = writeSync(file, zeros, at, zeros.length - at, reserved)
        reserved += count
        at += count
      }
      return new Reserve(path, files, reserved)
    } finally {
      closeSync(file)
    }
  }

  /**
   * Resolves when the file has its space up to `bytes`; else rejects with the system's error. LMDB
   * must have written all it was given, which ends at `usedBytes`: zeros are only written behind that,
   * also if LMDB should have taken more than was reserved.
   */
  async reach(bytes: number, usedBytes: number): Promise<void> {
    this.reservedBytes = Math.max(this.reservedBytes, usedBytes)
    if (bytes <= this.reservedBytes) return
    const target = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES
    await withFile(await this.files.open(this.path, 'write'), async (file) => {
      const bytesBefore = await file.size()
      try {
        await writeZeros(file, this.reservedBytes, target)
        this.reservedBytes = target
      } catch (error) {
        // What was written before it failed stays, and counts; in holes it can't be told.
        const bytesNow = await file.size()
        if (bytesNow > bytesBefore) this.reservedBytes = bytesNow
        throw error
      }
    })
  }
}
