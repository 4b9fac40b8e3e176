/**
 * What the log needs of a file system, and nothing more. This is the seam at which tests put a full
 * disk, an I/O error, a short write, a hung sync or a power cut. Calls do what their names say or
 * reject; they never retry and never hide a short count.
 */
import { close, constants, fdatasync, fstat, fsync, open, read, write } from 'node:fs'
import { mkdir, readdir, rename, unlink } from 'node:fs/promises'

/**
 * - `read`: an existing file, not written;
 * - `create`: a new file; writes are durable after `sync`;
 * - `write`: an existing file; writes are durable after `sync`;
 * - `durable`: an existing file; each write is durable when it resolves.
 */
export type OpenMode = 'read' | 'create' | 'write' | 'durable'

export interface LogFile {
  /** Resolves to the number of bytes written, which may be smaller than `length`. */
  write(source: Buffer, offset: number, length: number, position: number): Promise<number>
  /** Resolves to the number of bytes read: zero at the end of the file. */
  read(target: Buffer, offset: number, length: number, position: number): Promise<number>
  sync(): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

export interface LogFileSystem {
  open(path: string, mode: OpenMode): Promise<LogFile>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  readDirectory(path: string): Promise<string[]>
  /** An existing directory is no error; a missing parent is. */
  makeDirectory(path: string): Promise<void>
  /** Makes created, renamed and removed names durable. */
  syncDirectory(path: string): Promise<void>
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Elsewhere than on Linux, O_DSYNC is missing or does not reach the platter: sync after each write. */
const HAS_DURABLE_WRITES = process.platform === 'linux'

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  write: constants.O_RDWR,
  durable: constants.O_RDWR | (HAS_DURABLE_WRITES ? constants.O_DSYNC : 0),
}

/**
 * The callback functions of `node:fs` are used for what happens per append or per read: they cost a
 * third of what a `FileHandle` costs in allocations.
 */
class NodeFile implements LogFile {
  readonly #descriptor: number
  readonly #syncsEachWrite: boolean

  constructor(descriptor: number, syncsEachWrite: boolean) {
    this.#descriptor = descriptor
    this.#syncsEachWrite = syncsEachWrite
  }

  write(source: Buffer, offset: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#descriptor, source, offset, length, position, (error, count) => {
        if (error !== null) reject(error)
        else if (!this.#syncsEachWrite) resolve(count)
        else fdatasync(this.#descriptor, (failed) => (failed ? reject(failed) : resolve(count)))
      })
    })
  }

  read(target: Buffer, offset: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, target, offset, length, position, (error, count) =>
        error ? reject(error) : resolve(count),
      )
    })
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fsync(this.#descriptor, (error) => (error ? reject(error) : resolve()))
    })
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fstat(this.#descriptor, (error, stats) => (error ? reject(error) : resolve(stats.size)))
    })
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      close(this.#descriptor, (error) => (error ? reject(error) : resolve()))
    })
  }
}

function openNodeFile(path: string, mode: OpenMode): Promise<LogFile> {
  return new Promise((resolve, reject) => {
    open(path, FLAGS[mode], 0o600, (error, descriptor) => {
      if (error) reject(error)
      else resolve(new NodeFile(descriptor, mode === 'durable' && !HAS_DURABLE_WRITES))
    })
  })
}

export const nodeFileSystem: LogFileSystem = {
  open: openNodeFile,
  rename,
  unlink,
  readDirectory: (path) => readdir(path),
  makeDirectory: async (path) => {
    try {
      await mkdir(path, 0o700)
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    }
  },
  syncDirectory: async (path) => {
    const directory = await openNodeFile(path, 'read')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
}
