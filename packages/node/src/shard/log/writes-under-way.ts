/**
 * Which segments this process is writing to. A log that was abandoned because its disk hangs is opened
 * again while that call is still on its way: its bytes may reach the file at any time, over what
 * another has written there. Calls of a process that is gone have ended.
 */
import type { LogFileSystem } from './file-system.js'

const underWay = new WeakMap<LogFileSystem, Map<string, number>>()

/** A write to the file begins; what is returned is to be called when it has ended. */
export function noteWrite(files: LogFileSystem, path: string): () => void {
  const counts = underWay.get(files) ?? new Map<string, number>()
  underWay.set(files, counts)
  counts.set(path, (counts.get(path) ?? 0) + 1)
  return () => {
    const left = (counts.get(path) ?? 0) - 1
    if (left > 0) counts.set(path, left)
    else counts.delete(path)
  }
}

export function isBeingWritten(files: LogFileSystem, path: string): boolean {
  return underWay.get(files)?.has(path) ?? false
}
