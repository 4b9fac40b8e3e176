/**
 * Replaces a file so that a crash at any moment leaves the old content or the new, never a mix:
 * write beside it, fsync, rename over it, fsync the directory.
 */
import { dirname } from 'node:path'

/** What is needed of `node:fs/promises`, which is the one that is used; tests bring a model. */
export interface Disk {
  open(path: string, flags: string, mode?: number): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  readFile(path: string, encoding: 'utf8'): Promise<string>
  readdir(path: string): Promise<string[]>
}

export interface DiskFile {
  writeFile(text: string): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** Only the owner may read what is written: it holds a secret. */
const FILE_MODE = 0o600

export async function replaceFile(disk: Disk, path: string, text: string): Promise<void> {
  const beside = `${path}.new`
  const file = await disk.open(beside, 'w', FILE_MODE)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(beside, path)
  await syncDirectory(disk, dirname(path))
}

/** Makes names in the directory durable. Windows has no such call and needs none. */
export async function syncDirectory(disk: Disk, directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await disk.open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The file's content; `undefined` if there is no such file. */
export async function readIfThere(disk: Disk, path: string): Promise<string | undefined> {
  try {
    return await disk.readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
