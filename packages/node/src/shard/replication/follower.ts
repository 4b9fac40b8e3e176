/**
 * A replica that follows a primary: it appends the primary's frames to its own log, byte for byte, and
 * says how far it has synced. Pure but for its ports: time, disks and connections are the owner's.
 *
 * It listens to one conversation at a time, that of the highest epoch it was greeted in; the owner
 * gives it a new one for each connection.
 */
import type { EpochStart } from '../log/epoch-table.js'
import type { LogFrame } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import { continuationFault, isSamePosition, positionAfter } from '../log/position.js'
import type { ToFollower, ToPrimary } from './messages.js'

export interface FollowerPorts {
  readonly log: {
    readonly last: LogPosition
    readonly epochs: readonly EpochStart[]
  }
  /** Revision that the state holds already: nothing up to it can be cut. */
  appliedRevision(): number
  /** Cuts the log after a position; `onCut` must follow. */
  cut(after: LogPosition): void
  /** Appends and syncs a frame; `onDurable` must follow, in the order of the calls. */
  append(frame: LogFrame): void
  /** Everything up to here is committed and may be applied. */
  onCommit(revision: number): void
  send(message: ToPrimary): void
  /** The primary does not keep to the protocol, or its log is another one: this connection ends. */
  onBroken(reason: string): void
}

type Phase = 'greeting' | 'cutting' | 'following' | 'over'

export class Follower {
  private readonly ports: FollowerPorts
  private epoch: number
  private phase: Phase = 'greeting'
  /** The last frame taken, durable or not. */
  private taken: LogPosition
  private durableRevision: number
  private commitRevision = 0

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

  onMessage(message: ToFollower): void {
    if (this.phase === 'over') return
    if (message.type === 'greet') this.onGreet(message.epoch)
    else if (message.epoch !== this.epoch) this.break('a message of another epoch')
    else if (message.type === 'cut') this.onCutAsked(message.after)
    else if (this.phase !== 'following') this.break(`${message.type} before it has joined`)
    else if (message.type === 'frame') this.onFrame(message.frame, message.commitRevision)
    else this.learnCommit(message.revision)
  }

  private onGreet(epoch: number): void {
    const { log } = this.ports
    if (this.phase !== 'greeting') return this.break('a second greeting')
    if (epoch < this.epoch || epoch < log.last.epoch) return this.break('a primary of the past')
    this.epoch = epoch
    this.ports.send({ type: 'state', epoch, last: log.last, epochs: log.epochs })
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
    if (this.phase !== 'cutting') return
    const { last } = this.ports.log
    this.phase = 'following'
    this.taken = last
    this.durableRevision = last.revision
    this.ports.send({ type: 'joined', epoch: this.epoch, last })
  }

  private onFrame(frame: LogFrame, commitRevision: number): void {
    const fault = continuationFault(this.taken, frame)
    if (fault !== undefined) return this.break(fault)
    this.taken = positionAfter(frame)
    this.ports.append(frame)
    this.learnCommit(commitRevision)
  }

  /** A frame is synced. */
  onDurable(revision: number): void {
    if (this.phase === 'over') return
    this.durableRevision = revision
    this.ports.send({ type: 'durable', epoch: this.epoch, revision })
    this.apply()
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

  private break(reason: string): void {
    this.phase = 'over'
    this.ports.onBroken(reason)
  }
}
