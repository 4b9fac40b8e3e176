/** Directories that a power cut leaves in place. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { nodeFileSystem } from './log/file-system.js'

/** Makes a directory and what is missing above it, so that a power cut leaves all of it. */
export async function makeDurably(directory: string): Promise<void> {
  const topmost = await mkdir(directory, { recursive: true })
  if (topmost === undefined) return
  let path = directory
  do {
    path = dirname(path)
    await nodeFileSystem.syncDirectory(path)
  } while (path !== dirname(topmost))
}
