/**
 * The stored state of a replica: an LMDB environment, opened by one process at a time. The only
 * file that knows LMDB.
 *
 * Writes are applied in key order and in many small transactions, so that no step holds the event
 * loop; what makes that safe is that effects are decided and whole. The mark `applied` moves with
 * the last transaction of a generation, `applying` with the first: after a crash in between, the
 * log from `applied` on is replayed over what is there and the result is the same. A log that ends
 * before `applying` no longer fits this state.
 */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Database, RootDatabase } from 'lmdb'
import { open as openEnvironment } from 'lmdb'
import type { Held, LiveHeld } from '../held.js'
import type { LogFileSystem } from '../log/file-system.js'
import { nodeFileSystem } from '../log/file-system.js'
import type { SessionChanges, StorableSession } from '../sessions/session-table.js'
import { decodeSession, encodeSession, sessionKey } from '../sessions/stored-session.js'
import { commitFailure } from './commit-failure.js'
import { checkDataFile } from './data-file.js'
import type { TransactionWork, TreeStats, TreeWork } from './page-need.js'
import { PAGE_BYTES, pagesMax, workOf } from './page-need.js'
import type { ReadCache } from './read-cache.js'
import { Reserve } from './reserve.js'
import { readStoredKey, writeStoredKey } from './stored-key.js'
import {
  encodeStored,
  FoundEntry,
  INDEX_VALUE_BYTES,
  indexKey,
  readIndexKey,
  StateDamage,
  storedBytes,
} from './stored-entry.js'

const DATABASES_MAX = 4
const MARKS_KEY = 'marks'
const INDEX_VALUE = Buffer.alloc(INDEX_VALUE_BYTES, 1)

export interface StateMarks {
  readonly clusterId: string
  readonly shard: number
  /** Everything up to here is in the state. */
  readonly appliedRevision: number
  /** Something up to here may be in the state. */
  readonly applyingRevision: number
  /** Highest client id whose session was evicted. */
  readonly sessionFloor: number
  /** No frame up to `appliedRevision` has a later time, in epoch milliseconds. */
  readonly timeMs: number
}

/** One key's outcome, to be stored. */
export interface Change {
  readonly key: string
  readonly held: Held
}

type KeyCoder = {
  writeKey(key: string, target: Buffer, position: number): number
  readKey(source: Buffer, start: number, end: number): string
}

/** Keys are stored as their bytes, which is their order. */
const keyCoder: KeyCoder = { writeKey: writeStoredKey, readKey: readStoredKey }

export class State {
  private readonly environment: RootDatabase
  private readonly entries: Database<Buffer, string>
  private readonly index: Database<Buffer, Buffer>
  private readonly marksStore: Database<Buffer, string>
  private readonly sessionStore: Database<Buffer, Buffer>
  private readonly file: string
  private readonly found = new FoundEntry()
  /** Entries read lately, and the name of this state's among them. */
  private readonly cache: ReadCache | undefined
  private readonly cacheOwner: number
  /** Memory that LMDB's own thread reads until its transaction is done. */
  private readonly inUse = new Set<Buffer>()
  private currentMarks: StateMarks
  /** When the first entry of the expiry index ends; unknown after a write. */
  private earliestMs: number | undefined
  private isWriting = false
  /** The last transaction failed. */
  private hasFailed = false
  /** None where nothing is written. */
  private readonly reserve: Reserve | undefined

  private constructor(
    directory: string,
    identity: { clusterId: string; shard: number },
    files: LogFileSystem | undefined,
    cache: ReadCache | undefined,
  ) {
    this.cache = cache
    this.cacheOwner = cache?.newOwner() ?? 0
    this.file = join(directory, 'data.mdb')
    checkDataFile(this.file, PAGE_BYTES)
    this.environment = openEnvironment({
      path: directory,
      readOnly: files === undefined,
      pageSize: PAGE_BYTES,
      maxDbs: DATABASES_MAX,
      noMemInit: true,
      cache: false,
      encoding: 'binary',
      // Every transaction is one `batch`. What lmdb gathers on top of that within a turn has a promise
      // that nobody can get hold of, so that its failure would end the process (lmdb 3.5.6).
      eventTurnBatching: false,
    })
    const keyed = { encoding: 'binary', cache: false, keyEncoder: keyCoder } as object
    const byBytes = { encoding: 'binary', cache: false, keyEncoding: 'binary' } as object
    try {
      // Before the trees are made, which takes the first pages.
      this.reserve = files && Reserve.open(this.file, usedBytes(this.environment), files)
      this.entries = this.environment.openDB('entries', keyed)
      this.index = this.environment.openDB('expiry', { encoding: 'binary', keyEncoding: 'binary' })
      this.marksStore = this.environment.openDB('marks', keyed)
      this.sessionStore = this.environment.openDB('sessions', byBytes)
      this.currentMarks = this.readMarks(identity)
    } catch (error) {
      void this.environment.close()
      throw error
    }
  }

  /** Opens what is there, or begins a new state in an empty directory. */
  static open(
    directory: string,
    identity: { clusterId: string; shard: number },
    files: LogFileSystem = nodeFileSystem,
    cache?: ReadCache,
  ): State {
    mkdirSync(directory, { recursive: true })
    return new State(directory, identity, files, cache)
  }

  /** Opens what is there, to look at and not to change. */
  static openToRead(directory: string, identity: { clusterId: string; shard: number }): State {
    return new State(directory, identity, undefined, undefined)
  }

  private readMarks(identity: { clusterId: string; shard: number }): StateMarks {
    const stored = this.marksStore.get(MARKS_KEY)
    if (stored === undefined) {
      if (this.entryCount > 0) throw new StateDamage('the state has entries but no marks')
      return { ...identity, appliedRevision: 0, applyingRevision: 0, sessionFloor: 0, timeMs: 0 }
    }
    const marks = JSON.parse(stored.toString()) as StateMarks
    if (marks.clusterId !== identity.clusterId || marks.shard !== identity.shard) {
      throw new StateDamage(
        `the state is of shard ${marks.shard} of cluster ${marks.clusterId}, ` +
          `not of shard ${identity.shard} of cluster ${identity.clusterId}`,
      )
    }
    return marks
  }

  get marks(): StateMarks {
    return this.currentMarks
  }

  get entryCount(): number {
    return statsOf(this.entries).entryCount
  }

  get hasExpiring(): boolean {
    return statsOf(this.index).entryCount > 0
  }

  /** No stored entry ends before. */
  get earliestEndMs(): number {
    this.earliestMs ??= this.findEarliest()
    return this.earliestMs
  }

  private findEarliest(): number {
    for (const row of this.index.getKeys({ limit: 1, snapshot: false })) {
      return readIndexKey(row).expiresAt
    }
    return Infinity
  }

  get bytesOnDisk(): number {
    return statSync(this.file).size
  }

  /** The stored entry, expired or not. Valid until the next read of this state. */
  get(key: string): LiveHeld | undefined {
    const cached = this.cache?.get(this.cacheOwner, key)
    if (cached !== undefined) return cached
    const stored = this.entries.getBinaryFast(key) as Buffer | undefined
    if (stored === undefined) return undefined
    this.found.point(stored, stored.length, key)
    this.cache?.put(this.cacheOwner, key, this.found)
    return this.found
  }

  /** Entries of `[from, to)` in key order or in reverse; each valid until the next. */
  *range(
    from: string,
    to: string | undefined,
    reverse: boolean,
  ): Generator<{ key: string; held: LiveHeld }> {
    // To LMDB an empty key is no bound at all.
    if (to === '') return
    const options = rangeOptions(from, to, reverse)
    let last: string | undefined
    for (const { key, value } of this.entries.getRange(options)) {
      last = key
      yield { key, held: this.found.point(value, value.length, key) }
    }
    // lmdb ends a range without a word where it can't read a page: what is last must have come (P8).
    const opposite = { ...rangeOptions(from, to, !reverse), limit: 1 }
    for (const key of this.entries.getKeys(opposite)) {
      if (key !== last)
        throw new StateDamage('a range of the stored state ends before its last key')
    }
  }

  /** The client sessions as they were at the mark `applied`. */
  *sessions(): Generator<StorableSession> {
    for (const { key, value } of this.sessionStore.getRange({})) yield decodeSession(key, value)
  }

  /** Rows of the expiry index that are due by `nowMs`, from the earliest, after `after`. */
  *due(
    nowMs: number,
    after: { expiresAt: number; key: string } | undefined,
  ): Generator<{
    expiresAt: number
    key: string
  }> {
    const start = after === undefined ? {} : { start: indexKey(after.expiresAt, `${after.key}\0`) }
    // Rows of the same millisecond sort before the bare time of the next one.
    const end = indexKey(nowMs + 1, '')
    for (const key of this.index.getKeys({ ...start, end, snapshot: false })) {
      yield readIndexKey(key)
    }
  }

  /**
   * Stores changes in one transaction; one at a time. Resolves when they are visible to reads that
   * follow `refresh`; they are on disk once `flushed` resolves. Sessions belong to the mark `applied`.
   * Until then the values stay as they are.
   *
   * Rejects before LMDB has seen anything of it if there is no space, and the same may be written
   * again later; with `CommitFailed` if LMDB failed all the same, which the process must not outlive.
   */
  async write(
    changes: readonly Change[],
    marks?: Partial<StateMarks>,
    sessions?: SessionChanges,
  ): Promise<void> {
    if (this.isWriting) throw new Error('the state takes one write at a time')
    this.isWriting = true
    try {
      const rows = sessions?.sessions.map((session) => encodeSession(session)) ?? []
      const staleRows = this.staleIndexRows(changes)
      await this.makeRoom(
        workOf(changes, staleRows.length, { rows, removed: sessions?.removed.length ?? 0 }),
      )
      const next = { ...this.currentMarks, ...marks }
      await this.commit(changes, () => {
        for (const row of staleRows) void this.index.remove(row)
        if (sessions !== undefined) this.putSessions(sessions, rows)
        if (marks !== undefined)
          void this.marksStore.put(MARKS_KEY, Buffer.from(JSON.stringify(next)))
      })
      this.currentMarks = next
      // In one turn with the look at what is there now: nothing that was replaced is read again.
      this.refresh()
      for (const { key } of changes) this.cache?.forget(this.cacheOwner, key)
    } finally {
      this.isWriting = false
    }
  }

  private async commit(changes: readonly Change[], alongside: () => void): Promise<void> {
    const size = changes.reduce((sum, { held }) => sum + storedBytes(held), 0)
    const memory = Buffer.allocUnsafeSlow(size)
    this.inUse.add(memory)
    try {
      // What happens to a part of the transaction happens to the whole: one promise tells.
      await this.environment.batch(() => {
        alongside()
        this.putChanges(changes, memory)
      })
      this.hasFailed = false
    } catch (error) {
      this.hasFailed = true
      throw await commitFailure(error)
    } finally {
      this.inUse.delete(memory)
    }
  }

  /** Makes the file as long as the transaction may need it. */
  private async makeRoom(work: TransactionWork): Promise<void> {
    // Statistics are read like everything else: of what has been stored by now.
    this.refresh()
    const databases: [TreeWork, HasStats][] = [
      [work.entries, this.entries],
      [work.index, this.index],
      [work.sessions, this.sessionStore],
    ]
    const trees = databases
      .filter(([{ rows }]) => rows > 0)
      .map(([tree, database]) => ({ work: tree, stats: statsOf(database) }))
    const { free, lastPageNumber } = trees[0]?.stats ?? statsOf(this.environment)
    const pagesInUse = lastPageNumber + 1
    const pages = pagesInUse + pagesMax(trees, free)
    try {
      await this.reserve?.reach(pages * PAGE_BYTES, pagesInUse * PAGE_BYTES)
    } catch (error) {
      throw new Error(`the state could not be stored: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }

  private putChanges(changes: readonly Change[], memory: Buffer): void {
    let position = 0
    for (const { key, held } of changes) {
      if (held.memory === undefined) {
        void this.entries.remove(key)
        continue
      }
      const stored = encodeStored(held as LiveHeld, memory, position)
      position += stored.length
      void this.entries.put(key, stored)
      if (held.expiresAt !== 0) void this.index.put(indexKey(held.expiresAt, key), INDEX_VALUE)
    }
  }

  private putSessions({ sessions, removed }: SessionChanges, rows: readonly Buffer[]): void {
    for (const clientId of removed) void this.sessionStore.remove(sessionKey(clientId))
    for (const [index, { clientId }] of sessions.entries()) {
      void this.sessionStore.put(sessionKey(clientId), rows[index] as Buffer)
    }
  }

  /** Index rows of the entries that are being replaced: they are taken away, or they would pile up. */
  private staleIndexRows(changes: readonly Change[]): Buffer[] {
    if (!this.hasExpiring) return []
    const rows: Buffer[] = []
    for (const { key, held } of changes) {
      const old = this.get(key)
      if (old === undefined || old.expiresAt === 0 || old.expiresAt === held.expiresAt) continue
      rows.push(indexKey(old.expiresAt, key))
    }
    return rows
  }

  /** Lets the next read see what has been committed. */
  refresh(): void {
    ;(this.environment as unknown as { resetReadTxn(): void }).resetReadTxn()
    this.earliestMs = undefined
  }

  /** Resolves when everything written so far is on disk. */
  async flushed(): Promise<void> {
    await this.environment.flushed
  }

  async close(): Promise<void> {
    // lmdb waits for the flush of its last transaction, which never comes if that has failed (damage
    // was met). One without changes ends the wait.
    if (this.hasFailed) await this.environment.batch(() => undefined).catch(() => undefined)
    await this.environment.close()
  }
}

/** LMDB takes an absent bound only as a present `undefined`, and has no empty key. */
function rangeOptions(from: string, to: string | undefined, reverse: boolean): object {
  const low = from === '' ? undefined : from
  const bounds = reverse
    ? { start: to, end: low, reverse, exclusiveStart: true, inclusiveEnd: true }
    : { start: low, end: to }
  return { ...bounds, snapshot: false }
}

interface Stats extends TreeStats {
  readonly entryCount: number
  readonly lastPageNumber: number
  /** The list of free pages. */
  readonly free: TreeStats
}

type HasStats = Pick<RootDatabase, 'getStats'>

function statsOf(database: HasStats): Stats {
  return database.getStats() as Stats
}

/** Where the last page in use ends. */
function usedBytes(environment: HasStats): number {
  return (statsOf(environment).lastPageNumber + 1) * PAGE_BYTES
}
