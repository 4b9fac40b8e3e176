/**
 * A snapshot of a copy that is served, read while writes go on: a page per turn of the event loop, each
 * of what is committed then. It holds no transaction and no memory but the sessions of the shard, which
 * must all be of one moment.
 */
import type { EpochStart } from '../log/epoch-table.js'
import type { LogPosition } from '../log/position.js'
import type { PageRequest } from '../scan.js'
import type { LiveHeld } from '../held.js'
import type { SessionTable, StorableSession } from '../sessions/session-table.js'
import { encodeSession, sessionKey } from '../sessions/stored-session.js'
import { encodeStored, storedBytes } from '../state/stored-entry.js'
import { storedKeyBytes, writeStoredKey } from '../state/stored-key.js'
import { PAGE_BYTES_SOFT, PageWriter, ROW_KINDS } from './page.js'
import type { SnapshotPart, SnapshotSource } from './parts.js'

/** What a snapshot is read from. */
export interface SnapshotView {
  epochs(): readonly EpochStart[]
  readonly sessions: SessionTable
  /** Sorts a part of what pages need. Returns whether more is left to do. */
  sortSome(): boolean
  /** A page of what is committed (`readPage`). */
  page(request: PageRequest, onEntry: (key: string, held: LiveHeld) => void): string | undefined
  /** Everything up to here is committed, and in the pages. */
  committedRevision(): number
  /** No committed frame has a later time, in epoch milliseconds. */
  timeMs(): number
  /** The copy can't be read: there is no more of the snapshot. */
  onError(error: Error): void
}

export class SnapshotReader implements SnapshotSource {
  private readonly view: SnapshotView
  private readonly committed: () => LogPosition
  private sessions: readonly StorableSession[] = []
  private nextSession = 0
  private phase: 'begin' | 'sessions' | 'entries' | 'end' | 'over' = 'begin'
  private from = ''
  private entries = 0
  private checksum = 0

  /** `committed` tells the last committed frame at the moment of the call. */
  constructor(view: SnapshotView, committed: () => LogPosition) {
    this.view = view
    this.committed = committed
  }

  next(onPart: (part: SnapshotPart) => void): void {
    setImmediate(() => {
      const part = this.tryMake()
      if (part !== undefined) onPart(part)
      else if (this.phase !== 'over') this.next(onPart)
    })
  }

  close(): void {
    this.phase = 'over'
    this.sessions = []
  }

  private tryMake(): SnapshotPart | undefined {
    try {
      return this.make()
    } catch (error) {
      this.close()
      this.view.onError(error as Error)
      return undefined
    }
  }

  /** `undefined`: not in this turn. */
  private make(): SnapshotPart | undefined {
    switch (this.phase) {
      case 'over':
        return undefined
      case 'begin':
        return this.begin()
      case 'sessions':
        return this.sessionPage()
      case 'entries':
        return this.entryPage()
      case 'end':
        return this.end()
    }
  }

  private begin(): SnapshotPart | undefined {
    const { view } = this
    const start = this.committed()
    // What has just been committed may not be in memory yet: sessions must be those of the start.
    if (start.revision !== view.committedRevision()) return undefined
    const { floor, sessions } = view.sessions.at(start.revision)
    const epochs = view.epochs().filter(({ firstRevision }) => firstRevision <= start.revision)
    this.phase = 'sessions'
    this.sessions = sessions
    return { type: 'snapshotBegin', begin: { start, epochs, sessionFloor: floor } }
  }

  private sessionPage(): SnapshotPart | undefined {
    const writer = new PageWriter()
    while (this.nextSession < this.sessions.length) {
      const session = this.sessions[this.nextSession]!
      const key = sessionKey(session.clientId)
      const value = encodeSession(session)
      if (writer.overflows(key.length, value.length)) break
      writer.row(ROW_KINDS.session, key.length, value.length, (target, keyAt, valueAt) => {
        key.copy(target, keyAt)
        value.copy(target, valueAt)
      })
      this.nextSession += 1
    }
    if (this.nextSession === this.sessions.length) this.phase = 'entries'
    return this.pageOf(writer)
  }

  private entryPage(): SnapshotPart | undefined {
    if (this.view.sortSome()) return undefined
    const writer = new PageWriter()
    const request = {
      range: { from: this.from, to: undefined },
      reverse: false,
      limit: Infinity,
      // Nothing is over yet at this time: what has ended is removed by the log, not by a copy.
      nowMs: 0,
      bytesSoft: PAGE_BYTES_SOFT,
      withSystemKeys: true,
    }
    const resume = this.view.page(request, (key, held) => {
      const keyBytes = storedKeyBytes(key)
      writer.row(ROW_KINDS.entry, keyBytes, storedBytes(held), (target, keyAt, valueAt) => {
        writeStoredKey(key, target, keyAt)
        encodeStored(held, target, valueAt)
      })
    })
    this.entries += writer.rows
    if (resume === undefined) this.phase = 'end'
    else this.from = resume
    // The end tells what was committed when the last page was read.
    return this.pageOf(writer) ?? (resume === undefined ? this.end() : undefined)
  }

  private pageOf(writer: PageWriter): SnapshotPart | undefined {
    if (writer.isEmpty) return undefined
    const { page, checksum } = writer.finish(this.checksum)
    this.checksum = checksum
    return { type: 'snapshotPage', page }
  }

  private end(): SnapshotPart {
    const { checksum, entries, sessions, view } = this
    const counts = { sessions: sessions.length, entries }
    this.close()
    const at = { revision: view.committedRevision(), timeMs: view.timeMs() }
    return { type: 'snapshotEnd', end: { ...at, ...counts, checksum } }
  }
}
