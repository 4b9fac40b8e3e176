/**
 * A follower as its primary sees it: how far it has been sent frames, how far it has synced, and
 * whether it takes more. Pure.
 */

import type { LogPosition } from '../log/position.js'

/** Frames sent and not synced by the follower; beyond it, it is sent none. */
export const UNSYNCED_BYTES_MAX = 16_777_216

export type PeerPhase = 'greeting' | 'cutting' | 'streaming' | 'unfit'

export class Peer {
  readonly copy: number
  phase: PeerPhase = 'greeting'
  /** Its log is told to end here before it joins. */
  joinsAfter: LogPosition | undefined = undefined
  sentRevision = 0
  durableRevision = 0
  /** A read of the log for it is under way. */
  isReading = false
  private readonly unsynced: { readonly revision: number; readonly bytes: number }[] = []
  private unsyncedBytes = 0

  constructor(copy: number) {
    this.copy = copy
  }

  get hasRoom(): boolean {
    return this.unsyncedBytes < UNSYNCED_BYTES_MAX
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
}
