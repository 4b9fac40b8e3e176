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
import { setImmediate as nextTurn } from 'node:timers/promises'
import { nodeFileSystem } from '../log/file-system.js'
import type { LogFileSystem } from '../log/file-system.js'
import { Log } from '../log/log.js'
import { decodeSession } from '../sessions/stored-session.js'
import type { StorableSession } from '../sessions/session-table.js'
import { makeDurably } from '../durable-directory.js'
import type { Change } from '../state/state.js'
import { State } from '../state/state.js'
import { FoundEntry } from '../state/stored-entry.js'
import { readStoredKey } from '../state/stored-key.js'
import { readRows, ROW_KINDS, SnapshotDamage } from './page.js'
import type { PageRow } from './page.js'
import type { SnapshotBegin, SnapshotEnd } from './parts.js'

/** Entries stored in one transaction, and in one turn of the event loop. */
const SLICE_ENTRIES = 512

export interface BuildOptions {
  /** Of the replica that is to be replaced. */
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
  readonly fileSystem?: LogFileSystem
}

export class SnapshotBuild {
  private readonly directory: string
  private readonly begun: SnapshotBegin
  private readonly state: State
  private checksum = 0
  private entries = 0
  private sessions = 0
  private isOpen = true

  private constructor(directory: string, begun: SnapshotBegin, state: State) {
    this.directory = directory
    this.begun = begun
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
    const state = State.open(join(directory, 'state'), { clusterId, shard })
    return new SnapshotBuild(directory, begun, state)
  }

  /** Takes the next page in. Throws `SnapshotDamage`, after which nothing is left but `abandon`. */
  async takePage(page: Buffer): Promise<void> {
    const { rows, checksum } = readRows(page, this.checksum)
    this.checksum = checksum
    const sessions: StorableSession[] = []
    let changes: Change[] = []
    for (const row of rows) {
      if (row.kind === ROW_KINDS.session) sessions.push(sessionOf(page, row))
      else changes.push(changeOf(page, row))
      if (changes.length < SLICE_ENTRIES) continue
      await this.store(changes, [])
      changes = []
      await nextTurn()
    }
    await this.store(changes, sessions)
  }

  private async store(changes: readonly Change[], sessions: readonly StorableSession[]) {
    this.entries += changes.length
    this.sessions += sessions.length
    if (changes.length + sessions.length === 0) return
    const floor = this.begun.sessionFloor
    await this.state.write(changes, undefined, { floor, sessions, removed: [] })
  }

  /** The snapshot is complete: the replica is whole, closed, and on the disk. */
  async end(end: SnapshotEnd): Promise<void> {
    const { checksum, entries, sessions, state, begun } = this
    if (end.checksum !== checksum) throw new SnapshotDamage('pages are missing at its end')
    if (end.entries !== entries || end.sessions !== sessions) {
      throw new SnapshotDamage(
        `${entries} entries and ${sessions} sessions came of ${end.entries} and ${end.sessions}`,
      )
    }
    await state.write([], {
      appliedRevision: begun.start.revision,
      applyingRevision: end.revision,
      sessionFloor: begun.sessionFloor,
      timeMs: end.timeMs,
    })
    await state.flushed()
    await this.close()
    await nodeFileSystem.syncDirectory(join(this.directory, 'state'))
    await nodeFileSystem.syncDirectory(this.directory)
  }

  /** Nothing becomes of it. */
  async abandon(): Promise<void> {
    await this.close()
    await rm(this.directory, { recursive: true, force: true })
  }

  private async close(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    await this.state.close()
  }
}

function sessionOf(page: Buffer, { keyAt, valueAt, end }: PageRow): StorableSession {
  return sound(() => decodeSession(page.subarray(keyAt, valueAt), page.subarray(valueAt, end)))
}

function changeOf(page: Buffer, { kind, keyAt, valueAt, end }: PageRow): Change {
  if (kind !== ROW_KINDS.entry) throw new SnapshotDamage(`a row of kind ${kind}`)
  const key = readStoredKey(page, keyAt, valueAt)
  const stored = page.subarray(valueAt, end)
  return { key, held: sound(() => new FoundEntry().point(stored, stored.length, key)) }
}

/** What is damaged is what arrived, not a stored state. */
function sound<Decoded>(decode: () => Decoded): Decoded {
  try {
    return decode()
  } catch (error) {
    throw new SnapshotDamage((error as Error).message)
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
