/** The stored state that a snapshot's pages hold, written as they come. Its end makes it whole. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LogFileSystem } from '../log/file-system.js'
import { decodeSession } from '../sessions/stored-session.js'
import type { StorableSession } from '../sessions/session-table.js'
import type { Change } from '../state/state.js'
import { State } from '../state/state.js'
import { FoundEntry } from '../state/stored-entry.js'
import { readStoredKey } from '../state/stored-key.js'
import { readRows, ROW_KINDS, SnapshotDamage } from './page.js'
import type { PageRow } from './page.js'
import type { SnapshotBegin, SnapshotEnd } from './parts.js'

/** Entries stored in one transaction, and in one turn of the event loop. */
const SLICE_ENTRIES = 512

export interface StateBuildOptions {
  /** Of the state alone; what is there is gone on with, so that it is to be empty. */
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
  readonly fileSystem?: LogFileSystem
}

export class StateBuild {
  private readonly begun: SnapshotBegin
  private readonly state: State
  private checksum = 0
  private entries = 0
  private sessions = 0
  private isOpen = true

  constructor({ directory, fileSystem, ...identity }: StateBuildOptions, begun: SnapshotBegin) {
    this.begun = begun
    this.state = State.open(directory, identity, fileSystem)
  }

  /** Takes the next page in. Throws `SnapshotDamage`, after which nothing is left but `close`. */
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

  /** The snapshot is complete: the state is whole, closed, and its content on the disk. */
  async end(end: SnapshotEnd): Promise<void> {
    const { checksum, entries, sessions, state, begun } = this
    assertWhole(end, { checksum, entries, sessions })
    await state.write([], {
      appliedRevision: begun.start.revision,
      applyingRevision: end.revision,
      sessionFloor: begun.sessionFloor,
      timeMs: end.timeMs,
    })
    await state.flushed()
    await this.close()
  }

  async close(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    await this.state.close()
  }
}

/** What came is all that the end tells of. Throws `SnapshotDamage`. */
export function assertWhole(
  end: SnapshotEnd,
  came: Pick<SnapshotEnd, 'checksum' | 'entries' | 'sessions'>,
): void {
  const { checksum, entries, sessions } = came
  if (end.checksum !== checksum) throw new SnapshotDamage('pages are missing at its end')
  if (end.entries !== entries || end.sessions !== sessions) {
    throw new SnapshotDamage(
      `${entries} entries and ${sessions} sessions came of ${end.entries} and ${end.sessions}`,
    )
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
