/**
 * Reads and writes that are complete or fail. The operating system may do less than it was asked to;
 * every place where the log touches a file goes through here, so that no short count is overlooked.
 */
import type { LogFile, LogFileSystem } from './file-system.js'

/** Large enough to be fast, small enough not to hold a thread of the pool for long. */
const ZEROS = Buffer.alloc(1024 * 1024)

/** Writes all of `source`, or its first `length` bytes. */
export async function writeWhole(
  file: LogFile,
  source: Buffer,
  position: number,
  length: number = source.length,
): Promise<void> {
  let written = await file.write(source, 0, length, position)
  while (written < length) {
    const count = await file.write(source, written, length - written, position + written)
    if (count === 0) throw new Error(`The file takes no more bytes at ${position + written}.`)
    written += count
  }
}

export async function writeZeros(file: LogFile, from: number, to: number): Promise<void> {
  for (let position = from; position < to; position += ZEROS.length) {
    await writeWhole(file, ZEROS, position, Math.min(ZEROS.length, to - position))
  }
}

/** What lies in `[position, position + length)`; shorter only where the file ends. */
export async function readWhole(file: LogFile, position: number, length: number): Promise<Buffer> {
  // A buffer of its own, not a slice of the shared pool: frames are handed out as views of it.
  const target = Buffer.allocUnsafeSlow(length)
  return target.subarray(0, await readInto(file, target, position, length))
}

/** Reads to the start of `target`. Returns how many bytes: fewer only where the file ends. */
export async function readInto(
  file: LogFile,
  target: Buffer,
  position: number,
  length: number,
): Promise<number> {
  let filled = 0
  while (filled < length) {
    const count = await file.read(target, filled, length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return filled
}

/** Opens, hands out and closes again, also when `use` fails. */
export async function withFile<Result>(
  file: LogFile,
  use: (file: LogFile) => Promise<Result>,
): Promise<Result> {
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

/** The first `lengthMax` bytes of a file. */
export async function readStart(
  files: LogFileSystem,
  path: string,
  lengthMax: number,
): Promise<Buffer> {
  return withFile(await files.open(path, 'read'), (file) => readWhole(file, 0, lengthMax))
}
