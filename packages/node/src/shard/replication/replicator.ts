/**
 * The primary's side of replication, for one epoch: who follows, who is in sync, what is committed.
 *
 * A record is committed once it is synced here and on every required copy (P1). A frame is sent to
 * followers at the tail while it is being written here, so that both syncs happen at once; followers
 * that are behind are sent what the log holds, in bounded amounts, and one whose log can't be joined
 * to this one is rebuilt from a snapshot. A follower that has caught up is asked into the in-sync set;
 * one that is lost or silent, out of it. Pure but for its ports: time is told by `onTick`.
 */
import type { LogFrame } from '../log/frame.js'
import { FRAME_HEADER_BYTES, lastRevisionOf } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import { isSamePosition, positionAfter } from '../log/position.js'
import type { SnapshotPart } from '../snapshot/parts.js'
import type { SetChange, StoredSet } from './in-sync-set.js'
import { InSyncSet } from './in-sync-set.js'
import { LostCopies } from './lost-copies.js'
import type { ToPrimary } from './messages.js'
import { Peer } from './peer.js'
import type { ReplicatorOptions, ReplicatorPorts } from './replicator-ports.js'
import { sharedPrefix } from './shared-prefix.js'
import { CONVERSATION_SILENT_MS_MAX, FOLLOWER_SILENT_MS_MAX, Silence } from './silence.js'

/** A change that was refused is not asked for again at once: what it was refused for takes time. */
const ASK_AGAIN_MS = 250

export class Replicator {
  readonly epoch: number
  private readonly ports: ReplicatorPorts
  private readonly inSync: InSyncSet
  private readonly minInSync: number
  private readonly peers = new Map<number, Peer>()
  /** Members that are to leave: they were lost, are silent or must be rebuilt. */
  private readonly leaving = new Set<number>()
  /** When a change for a copy was refused last. */
  private readonly refusedAtMs = new Map<number, number>()
  private readonly lost: LostCopies
  private readonly silence = new Silence()
  /** The end of the log when the epoch began: all of it may have been acknowledged before. */
  private readonly inheritedRevision: number
  /** The last revision of the epoch's first frame, once it is being written. */
  private startRevision: number | undefined
  /** Where the log ended before the frame that was written last. */
  private tailRevision: number
  private committed = 0
  private committedPosition: LogPosition
  /** Durable here and not committed, oldest first: as many as the sequencer lets wait. */
  private readonly uncommitted: LogPosition[] = []

  constructor(options: ReplicatorOptions, ports: ReplicatorPorts) {
    this.epoch = options.epoch
    this.minInSync = options.minInSync
    this.ports = ports
    this.inheritedRevision = ports.log.last.revision
    this.tailRevision = this.inheritedRevision
    this.committedPosition = ports.log.last
    this.inSync = new InSyncSet(options.self, options.inSync)
    const others = options.inSync.members.filter((copy) => copy !== options.self)
    this.lost = new LostCopies(others)
  }

  get commitRevision(): number {
    return this.committed
  }

  get members(): readonly number[] {
    return this.inSync.members
  }

  /**
   * The log is to be kept from this revision on, for those who follow it and for those who were lost a
   * moment ago: within the bounds of its owner, since a follower that finds it trimmed is rebuilt.
   */
  get neededRevision(): number {
    let revision = this.lost.neededRevision
    for (const peer of this.peers.values()) revision = Math.min(revision, peer.neededRevision)
    return revision
  }

  /** A follower is connected. */
  connect(copy: number): void {
    this.disconnect(copy)
    this.peers.set(copy, new Peer(copy))
    this.refusedAtMs.delete(copy)
    this.silence.forget(copy)
    this.ports.send(copy, { type: 'greet', epoch: this.epoch })
  }

  /** Its connection is gone. It stays required until the set without it is persisted. */
  disconnect(copy: number): void {
    const peer = this.peers.get(copy)
    if (peer === undefined) return
    peer.end()
    this.peers.delete(copy)
    if (peer.phase === 'streaming') this.lost.add(copy, peer.durableRevision, this.silence.nowMs)
    this.leave(copy)
  }

  private leave(copy: number): void {
    if (!this.inSync.isRequired(copy)) return
    this.leaving.add(copy)
    this.reconsider()
  }

  /**
   * The local write of a frame begins: it goes to the followers at the tail at once. What was said here
   * is appended, or nothing more is in this epoch.
   */
  onAppending(frame: LogFrame): void {
    this.startRevision ??= lastRevisionOf(frame)
    this.tailRevision = this.ports.log.last.revision
    this.sendToTail(frame)
  }

  /** A frame is durable in this copy's log. */
  onAppended(frame: LogFrame): void {
    this.uncommitted.push(positionAfter(frame))
    // To those who came to the tail while it was being written.
    this.sendToTail(frame)
    this.settle()
  }

  private sendToTail(frame: LogFrame): void {
    for (const peer of this.peers.values()) {
      const isAtTail = peer.phase === 'streaming' && peer.sentRevision === this.tailRevision
      if (isAtTail && peer.hasRoom) this.sendFrame(peer, frame)
    }
  }

  onMessage(copy: number, message: ToPrimary): void {
    const peer = this.peers.get(copy)
    if (peer === undefined) return
    if (message.epoch !== this.epoch) return this.break(peer, 'a message of another epoch')
    peer.messages += 1
    switch (message.type) {
      case 'state':
        return this.onState(peer, message)
      case 'joined':
        return this.onJoined(peer, message.last)
      case 'unfit':
        return this.onUnfitSaid(peer)
      case 'snapshotTaken':
        if (!peer.tookPages(message.pages)) return this.break(peer, 'it took what was not sent')
        return this.sendParts(peer)
      case 'durable':
        if (peer.phase !== 'streaming' || !peer.synced(message.revision)) {
          return this.break(peer, 'a sync of what was not sent')
        }
        this.settle()
        if (!this.inSync.isRequired(copy)) this.reconsider()
        this.feed(peer)
    }
  }

  private onState(peer: Peer, message: Extract<ToPrimary, { type: 'state' }>): void {
    if (peer.phase !== 'greeting') return this.break(peer, 'a second state')
    const { log } = this.ports
    const { last, epochs, hosting } = message
    peer.hosting = hosting
    const ours = { lastRevision: log.last.revision, epochs: log.epochs }
    const shared = sharedPrefix(ours, { lastRevision: last.revision, epochs })
    peer.phase = 'cutting'
    if (shared === undefined) return this.onUnfit(peer)
    peer.needsFromRevision = shared + 1
    this.ports.findPosition(peer.copy, shared, (after) => this.onPosition(peer, after))
  }

  private onPosition(peer: Peer, after: LogPosition | undefined): void {
    if (!this.isCurrent(peer) || peer.phase !== 'cutting') return
    if (after === undefined) return this.onUnfit(peer)
    peer.joinsAfter = after
    this.ports.send(peer.copy, { type: 'cut', epoch: this.epoch, after })
  }

  private onJoined(peer: Peer, last: LogPosition): void {
    const { phase, joinsAfter } = peer
    const isAwaited = phase === 'cutting' || (phase === 'rebuilding' && !peer.isRebuilding)
    if (!isAwaited || joinsAfter === undefined || !isSamePosition(last, joinsAfter)) {
      return this.break(peer, 'it joined where it was not asked to')
    }
    peer.stream(last)
    this.leaving.delete(peer.copy)
    this.lost.forget(peer.copy)
    this.settle()
    this.reconsider()
    this.feed(peer)
  }

  private onUnfitSaid(peer: Peer): void {
    if (peer.phase !== 'cutting') return this.break(peer, 'unfit for what it was not asked')
    this.onUnfit(peer)
  }

  /** It can't join from its log: it is rebuilt, once nothing is acknowledged on its word. */
  private onUnfit(peer: Peer): void {
    peer.phase = 'unfit'
    peer.needsFromRevision = Infinity
    this.lost.forget(peer.copy)
    this.leave(peer.copy)
    this.rebuild(peer)
  }

  private rebuild(peer: Peer): void {
    if (peer.phase !== 'unfit' || !this.hasBegun || this.inSync.isRequired(peer.copy)) return
    peer.phase = 'rebuilding'
    peer.joinsAfter = undefined
    peer.needsFromRevision = this.committedPosition.revision + 1
    peer.snapshot = this.ports.openSnapshot(peer.copy, () => this.committedPosition)
    this.sendParts(peer)
  }

  private sendParts(peer: Peer): void {
    if (peer.snapshot === undefined || peer.isReading || !peer.hasRoomForPage) return
    peer.isReading = true
    peer.snapshot.next((part) => this.onPart(peer, part))
  }

  private onPart(peer: Peer, part: SnapshotPart): void {
    if (!this.isCurrent(peer)) return
    peer.isReading = false
    if (part.type === 'snapshotBegin') peer.joinsAfter = part.begin.start
    if (part.type === 'snapshotPage') peer.sentPage()
    if (part.type === 'snapshotEnd') peer.end()
    this.ports.send(peer.copy, { ...part, epoch: this.epoch })
    this.sendParts(peer)
  }

  /** Sends a follower more of the log if it lacks some and has room. */
  private feed(peer: Peer): void {
    if (peer.phase !== 'streaming' || peer.isReading || !peer.hasRoom) return
    if (peer.sentRevision >= this.ports.log.last.revision) return
    peer.isReading = true
    this.ports.read(peer.copy, peer.sentRevision + 1, (frames) => this.onRead(peer, frames))
  }

  private onRead(peer: Peer, frames: readonly LogFrame[] | undefined): void {
    if (!this.isCurrent(peer)) return
    peer.isReading = false
    // When it comes back it is found unfit, and nothing of it is under way.
    if (frames === undefined) return this.break(peer, 'the log has been trimmed')
    for (const frame of frames) {
      if (frame.firstRevision > peer.sentRevision) this.sendFrame(peer, frame)
    }
    this.feed(peer)
  }

  private sendFrame(peer: Peer, frame: LogFrame): void {
    peer.sent(lastRevisionOf(frame), FRAME_HEADER_BYTES + frame.body.length)
    peer.toldRevision = this.committed
    const { epoch, committed: commitRevision } = this
    this.ports.send(peer.copy, { type: 'frame', epoch, frame, commitRevision })
  }

  private isCurrent(peer: Peer): boolean {
    return this.peers.get(peer.copy) === peer
  }

  /**
   * Whether a copy has all that was or may have been acknowledged. That includes the end of a snapshot
   * it was built from: what was committed then was here.
   */
  private hasCaughtUp(copy: number): boolean {
    const peer = this.peers.get(copy)
    if (peer?.phase !== 'streaming') return false
    return peer.durableRevision >= Math.max(this.committed, this.inheritedRevision)
  }

  /** Asks for the next change of the set, if one is wanted and none is being asked for. */
  private reconsider(): void {
    if (this.inSync.pending !== undefined) return
    const change = this.nextChange()
    if (change === undefined) return
    this.inSync.ask(change)
    this.ports.ask(change, this.inSync.version)
  }

  private nextChange(): SetChange | undefined {
    for (const copy of this.inSync.members) {
      if (this.leaving.has(copy) && this.mayAsk(copy)) return { type: 'remove', copy, hosting: 0 }
    }
    for (const { copy, hosting } of this.peers.values()) {
      const isNew = !this.inSync.isMember(copy) && this.hasCaughtUp(copy)
      if (isNew && this.mayAsk(copy)) return { type: 'add', copy, hosting }
    }
    return undefined
  }

  private mayAsk(copy: number): boolean {
    const refusedAtMs = this.refusedAtMs.get(copy)
    return refusedAtMs === undefined || this.silence.nowMs >= refusedAtMs + ASK_AGAIN_MS
  }

  /** The coordinator has persisted a set. */
  onStored(stored: StoredSet): void {
    const answer = this.inSync.onStored(stored)
    if (answer === undefined) return
    const { refused } = answer
    if (refused !== undefined) this.refusedAtMs.set(refused.copy, this.silence.nowMs)
    this.settle()
    this.reconsider()
    this.rebuildWhoMay()
  }

  private rebuildWhoMay(): void {
    for (const peer of this.peers.values()) this.rebuild(peer)
  }

  /** The start of the epoch is committed, and with it all that was inherited. */
  private get hasBegun(): boolean {
    return this.startRevision !== undefined && this.committed >= this.startRevision
  }

  /** What every required copy has synced is committed. */
  private settle(): void {
    let revision = this.ports.log.last.revision
    for (const copy of this.inSync.required) {
      if (copy === this.inSync.self) continue
      const peer = this.peers.get(copy)
      revision = Math.min(revision, peer?.phase === 'streaming' ? peer.durableRevision : 0)
    }
    if (this.members.length < this.minInSync) {
      revision = Math.min(revision, this.startRevision ?? this.inheritedRevision)
    }
    if (revision <= this.committed) return
    const hadBegun = this.hasBegun
    this.committed = revision
    while (this.uncommitted.length > 0 && this.uncommitted[0]!.revision <= revision) {
      this.committedPosition = this.uncommitted.shift()!
    }
    this.ports.onCommit(revision)
    if (!hadBegun && this.hasBegun) this.rebuildWhoMay()
  }

  /** Tells followers at rest what is committed; to be called a few milliseconds after a commit. */
  tellCommit(): void {
    const { epoch, committed: revision } = this
    for (const peer of this.peers.values()) {
      if (peer.phase !== 'streaming' || peer.toldRevision === revision) continue
      peer.toldRevision = revision
      this.ports.send(peer.copy, { type: 'commit', epoch, revision })
    }
  }

  /** Time has come to `nowMs`, on a clock that never goes back. To be called every 100 ms or so. */
  onTick(nowMs: number): void {
    this.silence.onTick(nowMs)
    this.lost.onTick(this.silence.nowMs)
    const copies = new Set([...this.inSync.required, ...this.peers.keys()])
    for (const copy of copies) if (copy !== this.inSync.self) this.checkSilence(copy)
    this.reconsider()
  }

  private checkSilence(copy: number): void {
    const peer = this.peers.get(copy)
    const isRequired = this.inSync.isRequired(copy)
    const limitMs = isRequired ? FOLLOWER_SILENT_MS_MAX : CONVERSATION_SILENT_MS_MAX
    if (this.silence.ageMs(copy, owedBy(peer, isRequired)) <= limitMs) return
    this.silence.forget(copy)
    if (peer === undefined) this.leave(copy)
    else this.break(peer, `nothing came from it for more than ${limitMs} ms`)
  }

  private break(peer: Peer, reason: string): void {
    this.ports.onBroken(peer.copy, reason)
    this.disconnect(peer.copy)
  }
}

/** What a copy owes, as a number that changes with each answer; `undefined`: nothing. */
function owedBy(peer: Peer | undefined, isRequired: boolean): number | undefined {
  if (peer?.phase === 'streaming') return peer.unsyncedRevision
  // Records wait for it until it streams, whatever it does before.
  if (isRequired) return -1
  return peer === undefined || peer.phase === 'unfit' ? undefined : -2 - peer.messages
}
