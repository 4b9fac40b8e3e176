/**
 * A replica that follows a primary: it appends the primary's frames to its own log, byte for byte, and
 * says how far it has synced. One whose log can't be joined to the primary's is built anew from the
 * primary's snapshot. Pure but for its ports: time, disks and connections are the owner's.
 *
 * It listens to one conversation at a time, that of the highest epoch it was greeted in; the owner
 * gives it a new one for each connection, when nothing of the one before is under way any more.
 *
 *   greeting ──▶ cutting ──▶ following
 *       └──▶ rebuilding ──▶ finishing ──▶ following        over: from anywhere
 */
import type { EpochStart } from '../log/epoch-table.js'
import type { LogFrame } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import { continuationFault, isSamePosition, positionAfter } from '../log/position.js'
import type { SnapshotBegin, SnapshotEnd } from '../snapshot/parts.js'
import type { ToFollower, ToPrimary } from './messages.js'

export interface FollowerPorts {
  /** As it is now: a replica that was rebuilt has another log. */
  readonly log: {
    readonly last: LogPosition
    readonly epochs: readonly EpochStart[]
  }
  /** Number of this hosting of the copy. */
  readonly hosting: number
  /**
   * Something up to here may be in the state, or in the overlay: it can't be cut. Of a replica that is
   * catching up with its snapshot, that is the snapshot's end.
   */
  appliedRevision(): number
  /** Cuts the log after a position; `onCut` must follow. */
  cut(after: LogPosition): void
  /** Appends and syncs a frame; `onDurable` must follow, in the order of the calls. */
  append(frame: LogFrame): void
  /** Everything up to here is committed and may be applied. */
  onCommit(revision: number): void
  /** Begins a new replica from a snapshot, beside the one that is there. */
  beginSnapshot(begin: SnapshotBegin): void
  /** Takes a page of it in; `onPageTaken` must follow. Pages that wait are few. */
  takePage(page: Buffer): void
  /** Puts the new replica in the place of the old, durably; `onRebuilt` must follow. */
  endSnapshot(end: SnapshotEnd): void
  send(message: ToPrimary): void
  /** The primary does not keep to the protocol, or its log is another one: this connection ends. */
  onBroken(reason: string): void
}

type Phase = 'greeting' | 'cutting' | 'following' | 'rebuilding' | 'finishing' | 'over'

export class Follower {
  private readonly ports: FollowerPorts
  private epoch: number
  private phase: Phase = 'greeting'
  private isGreeted = false
  /** The last frame taken, durable or not. */
  private taken: LogPosition
  private durableRevision: number
  private commitRevision = 0
  private pagesTaken = 0

  /** `epoch` is the highest it has ever been greeted in: an older primary is not listened to. */
  constructor(epoch: number, ports: FollowerPorts) {
    this.ports = ports
    this.epoch = epoch
    this.taken = ports.log.last
    this.durableRevision = this.taken.revision
  }

  get highestEpoch(): number {
    return this.epoch
  }

  /**
   * It streams, and has synced all that the primary told it is committed. That holds for a member of
   * the set at any time; one that catches up is behind what it is told.
   */
  get isInSync(): boolean {
    const { commitRevision, durableRevision } = this
    return this.phase === 'following' && commitRevision > 0 && commitRevision <= durableRevision
  }

  onMessage(message: ToFollower): void {
    if (this.phase === 'over') return
    if (message.type === 'greet') return this.onGreet(message.epoch)
    if (!this.isGreeted) return this.break(`${message.type} before a greeting`)
    if (message.epoch !== this.epoch) return this.break('a message of another epoch')
    switch (message.type) {
      case 'cut':
        return this.onCutAsked(message.after)
      case 'frame':
        return this.onFrame(message.frame, message.commitRevision)
      case 'commit':
        return this.onCommitTold(message.revision)
      case 'snapshotBegin':
        return this.onSnapshotBegin(message.begin)
      case 'snapshotPage':
        if (this.phase !== 'rebuilding') return this.break('a page of no snapshot')
        return this.ports.takePage(message.page)
      case 'snapshotEnd':
        if (this.phase !== 'rebuilding') return this.break('the end of no snapshot')
        this.phase = 'finishing'
        this.ports.endSnapshot(message.end)
    }
  }

  private onGreet(epoch: number): void {
    const { log, hosting } = this.ports
    if (this.isGreeted) return this.break('a second greeting')
    if (epoch < this.epoch || epoch < log.last.epoch) return this.break('a primary of the past')
    this.isGreeted = true
    this.epoch = epoch
    this.ports.send({ type: 'state', epoch, hosting, last: log.last, epochs: log.epochs })
  }

  private onCutAsked(after: LogPosition): void {
    if (this.phase !== 'greeting') return this.break('a second cut')
    const { log } = this.ports
    if (isSamePosition(after, log.last)) {
      this.phase = 'cutting'
      this.onCut()
      return
    }
    if (after.revision < this.ports.appliedRevision()) {
      // What was applied can't be undone.
      const reason = `revision ${this.ports.appliedRevision()} is applied`
      this.ports.send({ type: 'unfit', epoch: this.epoch, reason })
      return
    }
    this.phase = 'cutting'
    this.ports.cut(after)
  }

  /** The log ends where it was asked to. */
  onCut(): void {
    if (this.phase === 'cutting') this.join()
  }

  private onSnapshotBegin(begin: SnapshotBegin): void {
    if (this.phase !== 'greeting') return this.break('a snapshot that it has no use for')
    this.phase = 'rebuilding'
    this.ports.beginSnapshot(begin)
  }

  /** A page is part of the new replica. */
  onPageTaken(): void {
    if (this.phase !== 'rebuilding' && this.phase !== 'finishing') return
    this.pagesTaken += 1
    this.ports.send({ type: 'snapshotTaken', epoch: this.epoch, pages: this.pagesTaken })
  }

  /** The new replica is in place, durably: its log begins where the snapshot did. */
  onRebuilt(): void {
    if (this.phase === 'finishing') this.join()
  }

  /** The log is a prefix of the primary's: frames follow. */
  private join(): void {
    const { last } = this.ports.log
    this.phase = 'following'
    this.taken = last
    this.durableRevision = last.revision
    this.ports.send({ type: 'joined', epoch: this.epoch, last })
  }

  private onFrame(frame: LogFrame, commitRevision: number): void {
    if (this.phase !== 'following') return this.break('a frame before it has joined')
    const fault = continuationFault(this.taken, frame)
    if (fault !== undefined) return this.break(fault)
    this.taken = positionAfter(frame)
    this.ports.append(frame)
    this.learnCommit(commitRevision)
  }

  /** A frame is synced. */
  onDurable(revision: number): void {
    if (this.phase !== 'following') return
    this.durableRevision = revision
    this.ports.send({ type: 'durable', epoch: this.epoch, revision })
    this.apply()
  }

  private onCommitTold(revision: number): void {
    if (this.phase !== 'following') return this.break('a commit before it has joined')
    this.learnCommit(revision)
  }

  private learnCommit(revision: number): void {
    if (revision <= this.commitRevision) return
    this.commitRevision = revision
    this.apply()
  }

  /** Only what is committed and on this disk: a tail that is cut later must not have been applied. */
  private apply(): void {
    this.ports.onCommit(Math.min(this.commitRevision, this.durableRevision))
  }

  /** The connection is gone, or the log has failed. */
  end(): void {
    this.phase = 'over'
  }

  /** What arrived can't be used, and the conversation ends; another one may do better. */
  break(reason: string): void {
    if (this.phase === 'over') return
    this.phase = 'over'
    this.ports.onBroken(reason)
  }
}
