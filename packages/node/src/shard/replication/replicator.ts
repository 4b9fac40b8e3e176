/**
 * The primary's side of replication, for one epoch: who follows, who is in sync, what is committed.
 *
 * A record is committed once it is synced here and on every required copy (P1). Followers that are
 * behind are sent what the log holds, in bounded amounts; those at the tail get each frame from
 * memory. A follower that has caught up is asked into the in-sync set; one that is lost, out of it.
 * Pure but for its ports.
 */
import type { EpochStart } from '../log/epoch-table.js'
import type { LogFrame } from '../log/frame.js'
import { FRAME_HEADER_BYTES, lastRevisionOf } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import { isSamePosition } from '../log/position.js'
import type { SetChange, StoredSet } from './in-sync-set.js'
import { InSyncSet } from './in-sync-set.js'
import type { ToFollower, ToPrimary } from './messages.js'
import { Peer } from './peer.js'
import { sharedPrefix } from './shared-prefix.js'

export interface ReplicatorPorts {
  /** The durable log of this copy. */
  readonly log: {
    readonly last: LogPosition
    readonly epochs: readonly EpochStart[]
  }
  /** Finds the last frame at or before a revision; `onPosition` must follow. */
  findPosition(copy: number, revision: number): void
  /** Reads frames from a revision on, some or none; `onRead` must follow. */
  read(copy: number, fromRevision: number): void
  send(copy: number, message: ToFollower): void
  /** Asks the coordinator to persist another set; `onStored` follows, or never if it is gone. */
  ask(change: SetChange, version: number): void
  onCommit(revision: number): void
  /** This copy needs a snapshot before it can follow. */
  onUnfit(copy: number, reason: string): void
  /** The follower does not keep to the protocol: its connection must end. */
  onBroken(copy: number, reason: string): void
}

export class Replicator {
  readonly epoch: number
  private readonly ports: ReplicatorPorts
  private readonly inSync: InSyncSet
  private readonly peers = new Map<number, Peer>()
  /** The end of the log when the epoch began: all of it may have been acknowledged before. */
  private readonly inheritedRevision: number
  private committed = 0

  constructor(epoch: number, self: number, stored: StoredSet, ports: ReplicatorPorts) {
    this.epoch = epoch
    this.ports = ports
    this.inheritedRevision = ports.log.last.revision
    this.inSync = new InSyncSet(self, stored, (copy) => this.hasCaughtUp(copy))
  }

  get commitRevision(): number {
    return this.committed
  }

  get members(): readonly number[] {
    return this.inSync.members
  }

  /** A follower is connected. */
  connect(copy: number): void {
    this.peers.set(copy, new Peer(copy))
    this.ports.send(copy, { type: 'greet', epoch: this.epoch })
  }

  /** Its connection is gone. It stays required until the set without it is persisted. */
  disconnect(copy: number): void {
    if (!this.peers.delete(copy)) return
    if (this.inSync.isRequired(copy)) this.want({ type: 'remove', copy })
  }

  /** A frame is durable in this copy's log. */
  onAppended(frame: LogFrame): void {
    const revision = lastRevisionOf(frame)
    for (const peer of this.peers.values()) {
      const isAtTail = peer.sentRevision === frame.firstRevision - 1 || this.isJump(peer, frame)
      if (peer.phase === 'streaming' && isAtTail && peer.hasRoom) this.sendFrame(peer, frame)
    }
    this.settle(revision)
  }

  private isJump(peer: Peer, frame: LogFrame): boolean {
    return frame.jump && peer.sentRevision < frame.firstRevision
  }

  onMessage(copy: number, message: ToPrimary): void {
    const peer = this.peers.get(copy)
    if (peer === undefined) return
    if (message.epoch !== this.epoch) return this.break(peer, 'a message of another epoch')
    switch (message.type) {
      case 'state':
        return this.onState(peer, message.last, message.epochs)
      case 'joined':
        return this.onJoined(peer, message.last)
      case 'unfit':
        return this.onUnfit(peer, message.reason)
      case 'durable':
        if (!peer.synced(message.revision)) return this.break(peer, 'a sync of what was not sent')
        this.invite(peer)
        this.settle(this.ports.log.last.revision)
        this.feed(peer)
    }
  }

  private onState(peer: Peer, last: LogPosition, epochs: readonly EpochStart[]): void {
    if (peer.phase !== 'greeting') return this.break(peer, 'a second state')
    const { log } = this.ports
    const ours = { lastRevision: log.last.revision, epochs: log.epochs }
    const shared = sharedPrefix(ours, { lastRevision: last.revision, epochs })
    peer.phase = 'cutting'
    if (shared === undefined) this.onUnfit(peer, 'its epochs are forgotten here')
    else this.ports.findPosition(peer.copy, shared)
  }

  /** The last frame at or before the revision asked for; `undefined` if the log begins later. */
  onPosition(copy: number, after: LogPosition | undefined): void {
    const peer = this.peers.get(copy)
    if (peer?.phase !== 'cutting') return
    if (after === undefined) return this.onUnfit(peer, 'the log has been trimmed')
    peer.joinsAfter = after
    this.ports.send(copy, { type: 'cut', epoch: this.epoch, after })
  }

  private onJoined(peer: Peer, last: LogPosition): void {
    const { phase, joinsAfter } = peer
    if (phase !== 'cutting' || joinsAfter === undefined || !isSamePosition(last, joinsAfter)) {
      return this.break(peer, 'it joined where it was not asked to')
    }
    peer.phase = 'streaming'
    peer.sentRevision = last.revision
    peer.durableRevision = last.revision
    this.invite(peer)
    this.settle(this.ports.log.last.revision)
    this.feed(peer)
  }

  private onUnfit(peer: Peer, reason: string): void {
    peer.phase = 'unfit'
    if (this.inSync.isRequired(peer.copy)) this.want({ type: 'remove', copy: peer.copy })
    this.ports.onUnfit(peer.copy, reason)
  }

  /** Sends a follower more of the log if it lacks some and has room. */
  private feed(peer: Peer): void {
    if (peer.phase !== 'streaming' || peer.isReading || !peer.hasRoom) return
    if (peer.sentRevision >= this.ports.log.last.revision) return
    peer.isReading = true
    this.ports.read(peer.copy, peer.sentRevision + 1)
  }

  /** `frames` follow each other; `undefined` if the log no longer has them. */
  onRead(copy: number, frames: readonly LogFrame[] | undefined): void {
    const peer = this.peers.get(copy)
    if (peer === undefined || !peer.isReading) return
    peer.isReading = false
    if (frames === undefined) return this.onUnfit(peer, 'the log has been trimmed')
    for (const frame of frames) {
      if (frame.firstRevision > peer.sentRevision) this.sendFrame(peer, frame)
    }
    this.feed(peer)
  }

  private sendFrame(peer: Peer, frame: LogFrame): void {
    peer.sent(lastRevisionOf(frame), FRAME_HEADER_BYTES + frame.body.length)
    const { epoch, committed: commitRevision } = this
    this.ports.send(peer.copy, { type: 'frame', epoch, frame, commitRevision })
  }

  /** Asks a follower into the set once it has all that was or may have been acknowledged. */
  private invite(peer: Peer): void {
    const { copy } = peer
    if (this.inSync.isRequired(copy) || !this.hasCaughtUp(copy)) return
    this.want({ type: 'add', copy })
  }

  private hasCaughtUp(copy: number): boolean {
    return this.durableOf(copy) >= Math.max(this.committed, this.inheritedRevision)
  }

  private want(change: SetChange): void {
    this.askFor(this.inSync.want(change))
  }

  private askFor(change: SetChange | undefined): void {
    if (change !== undefined) this.ports.ask(change, this.inSync.version)
  }

  /** The coordinator has persisted a set. */
  onStored(stored: StoredSet): void {
    this.askFor(this.inSync.onStored(stored))
    this.settle(this.ports.log.last.revision)
  }

  /** What every required copy has synced is committed. */
  private settle(ownRevision: number): void {
    let revision = ownRevision
    for (const copy of this.inSync.required) {
      if (copy === this.inSync.self) continue
      revision = Math.min(revision, this.durableOf(copy))
    }
    if (revision <= this.committed) return
    this.committed = revision
    this.ports.onCommit(revision)
  }

  private durableOf(copy: number): number {
    const peer = this.peers.get(copy)
    return peer?.phase === 'streaming' ? peer.durableRevision : 0
  }

  /** Tells followers at rest what is committed; to be called a few milliseconds after a commit. */
  tellCommit(): void {
    const { epoch, committed: revision } = this
    for (const peer of this.peers.values()) {
      if (peer.phase === 'streaming')
        this.ports.send(peer.copy, { type: 'commit', epoch, revision })
    }
  }

  private break(peer: Peer, reason: string): void {
    this.ports.onBroken(peer.copy, reason)
    this.disconnect(peer.copy)
  }
}
