/**
 * A follower as its primary sees it: how far it has been sent frames, how far it has synced, and
 * whether it takes more. Pure.
 */
import type { LogPosition } from '../log/position.js'
import type { SnapshotSource } from '../snapshot/parts.js'

/**
 * Frames sent and not synced by the follower: while there are so many it is sent none, so that at most
 * this and one frame wait in memory for each shard and follower.
 */
export const UNSYNCED_BYTES_MAX = 4_194_304

/** Pages sent and not taken in. */
const PAGES_AHEAD_MAX = 4

export type PeerPhase = 'greeting' | 'cutting' | 'streaming' | 'unfit' | 'rebuilding'

export class Peer {
  readonly copy: number
  /** Which hosting of the copy it is, once it has said so. */
  hosting = 0
  phase: PeerPhase = 'greeting'
  /** Its log is told to end here before it joins. */
  joinsAfter: LogPosition | undefined = undefined
  /** The first revision it needs of the log, before it streams; unknown before it has told its state. */
  needsFromRevision: number = Infinity
  sentRevision = 0
  durableRevision = 0
  /** The commit revision it was told last. */
  toldRevision = 0
  /** A read of the log, or of the snapshot, for it is under way. */
  isReading = false
  /** While it is rebuilt, until the end has been sent. */
  snapshot: SnapshotSource | undefined = undefined
  /** Messages it has sent: an answer to something it owed. */
  messages = 0
  private pagesSent = 0
  private pagesTaken = 0
  private readonly unsynced: { readonly revision: number; readonly bytes: number }[] = []
  private unsyncedBytes = 0

  constructor(copy: number) {
    this.copy = copy
  }

  get hasRoom(): boolean {
    return this.unsyncedBytes < UNSYNCED_BYTES_MAX
  }

  /** Parts of its snapshot are still to be sent. */
  get isRebuilding(): boolean {
    return this.snapshot !== undefined
  }

  get hasRoomForPage(): boolean {
    return this.pagesSent - this.pagesTaken < PAGES_AHEAD_MAX
  }

  /** The log is to be kept from here on for it. */
  get neededRevision(): number {
    return this.phase === 'streaming' ? this.durableRevision + 1 : this.needsFromRevision
  }

  /** The first revision that it was sent and has not synced. */
  get unsyncedRevision(): number | undefined {
    return this.unsynced[0]?.revision
  }

  sent(revision: number, bytes: number): void {
    this.sentRevision = revision
    this.unsynced.push({ revision, bytes })
    this.unsyncedBytes += bytes
  }

  /** Returns whether this is news, and something it was sent. */
  synced(revision: number): boolean {
    if (revision <= this.durableRevision || revision > this.sentRevision) return false
    this.durableRevision = revision
    while (this.unsynced.length > 0 && this.unsynced[0]!.revision <= revision) {
      this.unsyncedBytes -= this.unsynced.shift()!.bytes
    }
    return true
  }

  sentPage(): void {
    this.pagesSent += 1
  }

  /** Returns whether so many can have been taken. */
  tookPages(pages: number): boolean {
    if (pages <= this.pagesTaken || pages > this.pagesSent) return false
    this.pagesTaken = pages
    return true
  }

  /** It follows from here on. */
  stream(from: LogPosition): void {
    this.phase = 'streaming'
    this.sentRevision = from.revision
    this.durableRevision = from.revision
  }

  /** Nothing more is sent to it. */
  end(): void {
    this.snapshot?.close()
    this.snapshot = undefined
  }
}
