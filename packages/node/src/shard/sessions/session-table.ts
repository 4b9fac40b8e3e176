/**
 * The sessions of a shard: what makes a write that is sent again take effect once (P4).
 *
 * A fold of the log like everything else: results enter when their entries are sequenced, so that a
 * retry also meets its own uncommitted record, and leave when the client confirms them or the
 * session is evicted, both of which are in the log. Every copy, and every replay, ends equal. Pure:
 * the time is an argument.
 */
import { chooseEvicted } from './eviction.js'
import type { Result } from './session.js'
import { Session } from './session.js'

/** Memory for the sessions of one shard. At the limit those used least recently are evicted. */
export const SESSION_BYTES_MAX: number = 4 * 1_048_576

/**
 * How long a session lives unused, on a clock that never goes back. A write is never sent again
 * more than five minutes after the first time, so nothing that could still come is forgotten.
 */
export const SESSION_IDLE_MS = 1_800_000
const IDLE_CHECK_MS = 10_000

/** Whether the write took effect can't be told (any more): it must not be executed. */
export const FORGOTTEN = 'forgotten'

/** What a write carries that its retries are judged by. */
export interface Attempt {
  readonly clientId: number
  readonly sequence: number
  /** It was sent before. */
  readonly isResend: boolean
}

/** What is to be stored: the difference to what was stored last. */
export interface SessionChanges {
  readonly floor: number
  readonly sessions: readonly StorableSession[]
  readonly removed: readonly number[]
}

export interface StorableSession {
  readonly clientId: number
  readonly lowWater: number
  readonly forgottenUpTo: number
  readonly results: readonly (Result & { readonly sequence: number })[]
}

interface PendingEviction {
  readonly clientIds: readonly number[]
  readonly revision: number
  readonly bytes: number
}

export class SessionTable {
  /** Highest client id whose session was evicted. */
  floor = 0
  private readonly bytesMax: number
  private readonly sessions = new Map<number, Session>()
  /** Calls come in batches of one client. */
  private recent: Session | undefined
  private heldBytes = 0
  private evictions: PendingEviction[] = []
  private evictingBytes = 0
  private nextIdleCheckMs = 0
  private changed: Session[] = []
  private readonly removed = new Set<number>()
  private frozen: SessionChanges | undefined

  constructor(bytesMax: number = SESSION_BYTES_MAX) {
    this.bytesMax = bytesMax
  }

  get size(): number {
    return this.sessions.size
  }

  /** Measured bytes, those of sessions included that are about to be evicted. */
  get bytes(): number {
    return this.heldBytes
  }

  /** Whether sessions must be evicted for want of memory. */
  get isOverLimit(): boolean {
    return this.heldBytes - this.evictingBytes > this.bytesMax
  }

  /** Takes what was stored, before anything is replayed. */
  load(floor: number, stored: Iterable<StorableSession>): void {
    this.floor = floor
    for (const { clientId, lowWater, forgottenUpTo, results } of stored) {
      const session = new Session(clientId, 0, forgottenUpTo)
      session.lowWater = lowWater
      for (const { sequence, revision, answer } of results) session.add(sequence, revision, answer)
      this.sessions.set(clientId, session)
      this.heldBytes += session.bytes
    }
  }

  /** The shard is served from now on: nobody has been idle before. */
  begin(nowMs: number): void {
    for (const session of this.sessions.values()) session.usedAtMs = nowMs
    this.nextIdleCheckMs = nowMs + IDLE_CHECK_MS
  }

  private find(clientId: number): Session | undefined {
    if (this.recent?.clientId === clientId) return this.recent
    const session = this.sessions.get(clientId)
    if (session !== undefined) this.recent = session
    return session
  }

  /**
   * What is to become of a write: its first result if it has one, `FORGOTTEN` if nobody can tell,
   * `undefined` if it is to be executed.
   */
  judge({ clientId, sequence, isResend }: Attempt): Result | typeof FORGOTTEN | undefined {
    const session = this.find(clientId)
    if (session === undefined) return isResend && clientId <= this.floor ? FORGOTTEN : undefined
    if (sequence > session.newest) return undefined
    // Its client has had the answer, and asks for nothing.
    if (sequence <= session.lowWater) return FORGOTTEN
    const result = session.find(sequence)
    if (result !== undefined) return result
    // While it is being evicted, an older number must not become the first of the next session:
    // nothing would be known then of the numbers between.
    const isUnknown = sequence <= session.forgottenUpTo || session.evictedAt !== 0
    return isUnknown ? FORGOTTEN : undefined
  }

  /** An entry was sequenced, or is replayed: its result is kept. */
  add(
    entry: { readonly clientId: number; readonly sequence: number; readonly lowWater: number },
    result: Result,
    nowMs: number,
  ): void {
    const { clientId, sequence, lowWater } = entry
    const session = this.find(clientId) ?? this.create(clientId, sequence, result.revision)
    const bytesBefore = session.bytes
    session.confirm(lowWater)
    session.add(sequence, result.revision, result.answer)
    session.usedAtMs = nowMs
    this.heldBytes += session.bytes - bytesBefore
    this.onChange(session)
  }

  private create(clientId: number, sequence: number, revision: number): Session {
    // The evicted session may have known this client's earlier calls.
    const forgottenUpTo = clientId <= this.floor ? sequence - 1 : 0
    const session = new Session(clientId, revision, forgottenUpTo)
    this.sessions.set(clientId, session)
    this.recent = session
    this.heldBytes += session.bytes
    return session
  }

  private onChange(session: Session): void {
    if (session.isChanged) return
    session.isChanged = true
    this.changed.push(session)
  }

  private remove(session: Session): void {
    this.sessions.delete(session.clientId)
    if (this.recent === session) this.recent = undefined
    this.heldBytes -= session.bytes
    this.removed.add(session.clientId)
  }

  /** Takes results out of a session by their revision; returns whether any is left. */
  private retain(session: Session, keep: (revision: number) => boolean): boolean {
    const bytesBefore = session.bytes
    session.retain(keep)
    this.heldBytes += session.bytes - bytesBefore
    return session.size > 0
  }

  /** Clients whose sessions should be evicted now, by an entry of the log; usually none. */
  evictable(nowMs: number): readonly number[] {
    const excessBytes = this.heldBytes - this.evictingBytes - this.bytesMax
    const isCheckDue = nowMs >= this.nextIdleCheckMs
    if (excessBytes <= 0 && !isCheckDue) return []
    if (isCheckDue) this.nextIdleCheckMs = nowMs + IDLE_CHECK_MS
    const idleSinceMs = nowMs - SESSION_IDLE_MS
    return chooseEvicted(this.sessions.values(), { excessBytes, idleSinceMs, max: this.bytesMax })
  }

  /** The entry that evicts them was sequenced; it counts when it has committed. */
  evicting(clientIds: readonly number[], revision: number): void {
    let bytes = 0
    for (const clientId of clientIds) {
      const session = this.sessions.get(clientId)
      if (session === undefined) continue
      session.evictedAt = revision
      bytes += session.bytes
    }
    this.evictions.push({ clientIds, revision, bytes })
    this.evictingBytes += bytes
  }

  /** Everything up to this revision is durable. */
  committed(revision: number): void {
    while (this.evictions.length > 0 && this.evictions[0]!.revision <= revision) {
      const eviction = this.evictions.shift()!
      this.evictingBytes -= eviction.bytes
      this.evict(eviction.clientIds, eviction.revision)
    }
  }

  /** Forgets what these clients did before this revision. */
  evict(clientIds: readonly number[], revision: number): void {
    for (const clientId of clientIds) {
      this.floor = Math.max(this.floor, clientId)
      const session = this.sessions.get(clientId)
      if (session === undefined) continue
      if (!this.retain(session, (each) => each > revision)) {
        this.remove(session)
        continue
      }
      // What is left came while the eviction was pending: as a replay would find it, a new session.
      const results = Array.from(session.results())
      const first = results.reduce((a, b) => (a.revision < b.revision ? a : b))
      session.createdAt = first.revision
      session.forgottenUpTo = first.sequence - 1
      session.evictedAt = 0
      this.removed.add(clientId)
      this.onChange(session)
    }
  }

  /** What was sequenced from this revision on was given up. */
  discardFrom(revision: number): void {
    this.evictions = this.evictions.filter((eviction) => eviction.revision < revision)
    this.evictingBytes = this.evictions.reduce((bytes, eviction) => bytes + eviction.bytes, 0)
    for (const session of this.sessions.values()) {
      if (session.evictedAt >= revision) session.evictedAt = 0
      if (session.createdAt >= revision) this.remove(session)
      else this.retain(session, (each) => each < revision)
    }
  }

  /**
   * What is to be stored together with the mark `applied` at this revision, which must be the last
   * that has committed. The same until `stored` says that it is there.
   */
  freeze(revision: number): SessionChanges {
    if (this.frozen !== undefined) return this.frozen
    const { changed } = this
    const sessions: StorableSession[] = []
    this.changed = []
    for (const session of changed) {
      session.isChanged = false
      if (this.sessions.get(session.clientId) !== session) continue
      const storable = storableAt(session, revision)
      if (storable === undefined || storable.results.length < session.size) this.onChange(session)
      if (storable !== undefined) sessions.push(storable)
    }
    this.frozen = { floor: this.floor, sessions, removed: Array.from(this.removed) }
    this.removed.clear()
    return this.frozen
  }

  /** All there is at this revision, which must be the last that has committed. */
  at(revision: number): { readonly floor: number; readonly sessions: readonly StorableSession[] } {
    const sessions: StorableSession[] = []
    for (const session of this.sessions.values()) {
      const storable = storableAt(session, revision)
      if (storable !== undefined) sessions.push(storable)
    }
    return { floor: this.floor, sessions }
  }

  /** What `freeze` gave is on its way to the disk. */
  stored(): void {
    this.frozen = undefined
  }
}

/** What of a session is committed; `undefined` if nothing is. */
function storableAt(session: Session, revision: number): StorableSession | undefined {
  if (session.createdAt > revision) return undefined
  const { clientId, lowWater, forgottenUpTo } = session
  const results = Array.from(session.results()).filter((result) => result.revision <= revision)
  return { clientId, lowWater, forgottenUpTo, results }
}
