/**
 * A replica built from a snapshot, in a directory beside the one that it is to replace: until it is
 * whole and on the disk, the old one stays as it is.
 *
 *   <copy>              what is there
 *   <copy>.building     what comes; removed by the next attempt if it never gets whole
 *   <copy>.replaced     what was there, between the two renames; put back if that is all there is
 *
 * What is in place then has `applied` at the snapshot's start and `applying` at its end: its log ends
 * before `applying` until it has caught up, so that whoever opens it earlier finds that out
 * (`replica.ts`), and builds it again.
 */
import { access, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { makeDurably } from '../durable-directory.js'
import { nodeFileSystem } from '../log/file-system.js'
import type { LogFileSystem } from '../log/file-system.js'
import { Log } from '../log/log.js'
import type { SnapshotBegin, SnapshotEnd } from './parts.js'
import { StateBuild } from './state-build.js'

export interface BuildOptions {
  /** Of the replica that is to be replaced. */
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
  readonly fileSystem?: LogFileSystem
}

export class SnapshotBuild {
  private readonly directory: string
  private readonly state: StateBuild

  private constructor(directory: string, state: StateBuild) {
    this.directory = directory
    this.state = state
  }

  /** Begins an empty one; what an earlier attempt left is removed. */
  static async begin(options: BuildOptions, begun: SnapshotBegin): Promise<SnapshotBuild> {
    const { clusterId, shard, fileSystem } = options
    const directory = buildingPath(options.directory)
    await rm(directory, { recursive: true, force: true })
    await makeDurably(directory)
    const log = await Log.create({
      directory: join(directory, 'log'),
      clusterId,
      shard,
      start: { position: begun.start, epochs: begun.epochs },
      ...(fileSystem === undefined ? {} : { fileSystem }),
    })
    await log.close()
    const state = new StateBuild({ directory: join(directory, 'state'), clusterId, shard }, begun)
    return new SnapshotBuild(directory, state)
  }

  /** Takes the next page in. Throws `SnapshotDamage`, after which nothing is left but `abandon`. */
  takePage(page: Buffer): Promise<void> {
    return this.state.takePage(page)
  }

  /** The snapshot is complete: the replica is whole, closed, and on the disk. */
  async end(end: SnapshotEnd): Promise<void> {
    await this.state.end(end)
    await nodeFileSystem.syncDirectory(join(this.directory, 'state'))
    await nodeFileSystem.syncDirectory(this.directory)
  }

  /** Nothing becomes of it. */
  async abandon(): Promise<void> {
    await this.state.close()
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** Puts the whole replica that was built in the place of the one that nobody has open any more. */
export async function replaceWithBuilt(directory: string): Promise<void> {
  const replaced = replacedPath(directory)
  await rm(replaced, { recursive: true, force: true })
  await rename(directory, replaced)
  await rename(buildingPath(directory), directory)
  await nodeFileSystem.syncDirectory(dirname(directory))
  await rm(replaced, { recursive: true, force: true })
}

/** What an end in the middle of a rebuild left is put back, or removed. */
export async function tidyAfterRebuild(directory: string): Promise<void> {
  const replaced = replacedPath(directory)
  if (!(await exists(directory)) && (await exists(replaced))) {
    await rename(replaced, directory)
    await nodeFileSystem.syncDirectory(dirname(directory))
  }
  await rm(replaced, { recursive: true, force: true })
  await rm(buildingPath(directory), { recursive: true, force: true })
}

/** Whether a directory is one of those beside a copy that only a rebuild makes. */
export function isOfRebuild(directory: string): boolean {
  return /\.(building|replaced)$/.test(basename(directory))
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function buildingPath(directory: string): string {
  return `${directory}.building`
}

function replacedPath(directory: string): string {
  return `${directory}.replaced`
}
