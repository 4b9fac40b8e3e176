/**
 * Where the snapshots of a copy lie: `<copy>/snapshots/<revision of its start>.snapshot`. One is kept;
 * two are there only between the moment that a new one has its name and the removal of the older one.
 */
import { readdir, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDurably } from '../durable-directory.js'
import { hasCode, nodeFileSystem, type LogFileSystem } from '../log/file-system.js'

const NAME = /^(\d{16})\.snapshot$/
const UNFINISHED_NAME = 'unfinished'

export function snapshotsPath(directory: string): string {
  return join(directory, 'snapshots')
}

/** Paths of those that are there, the newest first. */
export async function snapshotFiles(directory: string): Promise<readonly string[]> {
  const snapshots = snapshotsPath(directory)
  const names = await readdir(snapshots).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  const files = names.filter((name) => NAME.test(name)).toSorted()
  return files.toReversed().map((name) => join(snapshots, name))
}

/** Where the next one is written; what an earlier attempt left is removed. */
export async function prepareUnfinished(directory: string): Promise<string> {
  await makeDurably(snapshotsPath(directory))
  const path = join(snapshotsPath(directory), UNFINISHED_NAME)
  await rm(path, { force: true })
  return path
}

/** Gives a file that is whole and on the disk its name, then removes the older ones. */
export async function finish(
  directory: string,
  startRevision: number,
  files: LogFileSystem = nodeFileSystem,
): Promise<void> {
  const snapshots = snapshotsPath(directory)
  const older = await snapshotFiles(directory)
  const path = join(snapshots, `${String(startRevision).padStart(16, '0')}.snapshot`)
  await files.rename(join(snapshots, UNFINISHED_NAME), path)
  await files.syncDirectory(snapshots)
  for (const file of older) if (file !== path) await unlink(file)
}

/** Nothing is of use any more. */
export async function removeSnapshots(directory: string): Promise<void> {
  await rm(snapshotsPath(directory), { recursive: true, force: true })
}
