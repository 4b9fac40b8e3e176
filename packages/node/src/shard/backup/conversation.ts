/**
 * One conversation of a backup with its primary. What the primary says first waits until the log is
 * at rest: an append of the conversation before may still be under way.
 */
import { Follower, type FollowerPorts } from '../replication/follower.js'
import type { ToFollower, ToPrimary } from '../replication/messages.js'

/** A primary greets, and waits for an answer. */
const WAITING_MESSAGES_MAX = 4

/** The way to the primary. */
export interface PrimaryLine {
  send(message: ToPrimary): void
  /** The conversation can't go on; a new one may. Called at most once, and nothing after it. */
  broken(reason: string): void
}

export class Conversation {
  private readonly line: PrimaryLine
  private follower: Follower | undefined
  private waiting: ToFollower[] = []
  private isOver = false

  constructor(line: PrimaryLine) {
    this.line = line
  }

  /** The log is at rest: the conversation begins. `epoch` is the highest that was ever heard of. */
  begin(epoch: number, ports: Omit<FollowerPorts, 'send' | 'onBroken'>): void {
    if (this.isOver) return
    this.follower = new Follower(epoch, {
      ...ports,
      send: (message) => {
        if (!this.isOver) this.line.send(message)
      },
      onBroken: (reason) => {
        this.break(reason)
      },
    })
    for (const message of this.waiting.splice(0)) this.onMessage(message)
  }

  get highestEpoch(): number {
    return this.follower?.highestEpoch ?? 0
  }

  get isInSync(): boolean {
    return this.follower?.isInSync === true
  }

  onMessage(message: ToFollower): void {
    if (this.isOver) return
    if (this.follower !== undefined) this.follower.onMessage(message)
    else if (this.waiting.length < WAITING_MESSAGES_MAX) this.waiting.push(message)
    else this.break('it does not wait for an answer')
  }

  onCut(): void {
    this.follower?.onCut()
  }

  onDurable(revision: number): void {
    this.follower?.onDurable(revision)
  }

  onPageTaken(): void {
    this.follower?.onPageTaken()
  }

  onRebuilt(): void {
    this.follower?.onRebuilt()
  }

  break(reason: string): void {
    if (this.isOver) return
    this.end()
    this.line.broken(reason)
  }

  /** Nothing is said or heard any more. */
  end(): void {
    this.isOver = true
    this.waiting = []
    this.follower?.end()
  }
}
