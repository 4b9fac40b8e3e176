/** A conversation between a primary and a backup of one process: in order, a turn later, until cut. */
import type { Backup } from '../backup.js'
import type { ReplicatedLog } from '../primary/replicated-log.js'
import type { ToFollower, ToPrimary } from '../replication/messages.js'
import { arrived } from './scripted-primary.js'

export class ReplicationPipe {
  /** Why it is over, once it is. */
  brokenBy: string | undefined
  /** Messages wait while it is held. */
  isHeld = false
  private readonly waiting: (() => void)[] = []
  private readonly onBroken: (reason: string) => void
  private readonly toBackup: { onMessage(message: ToFollower): void; end(): void }
  private readonly toPrimary: { onMessage(message: ToPrimary): void; end(): void }

  constructor(
    ends: { readonly primary: ReplicatedLog; readonly backup: Backup; readonly copy: number },
    onBroken: (reason: string) => void = () => undefined,
  ) {
    this.onBroken = onBroken
    const broken = (reason: string): void => {
      setImmediate(() => {
        this.cut(reason)
      })
    }
    this.toBackup = ends.backup.follow({
      send: (message) => {
        this.carry(() => {
          this.toPrimary.onMessage(message)
        })
      },
      broken,
    })
    this.toPrimary = ends.primary.attach(ends.copy, {
      send: (message) => {
        const copied = ownMessage(message)
        this.carry(() => {
          this.toBackup.onMessage(copied)
        })
      },
      broken,
    })
  }

  private carry(deliver: () => void): void {
    this.waiting.push(deliver)
    setImmediate(() => {
      this.deliver()
    })
  }

  private deliver(): void {
    if (this.isHeld || this.brokenBy !== undefined) return
    this.waiting.shift()?.()
  }

  /** What was held is delivered. */
  letGo(): void {
    this.isHeld = false
    for (const deliver of this.waiting.splice(0)) this.carry(deliver)
  }

  cut(reason = 'the line was cut'): void {
    if (this.brokenBy !== undefined) return
    this.brokenBy = reason
    this.toBackup.end()
    this.toPrimary.end()
    this.onBroken(reason)
  }
}

function ownMessage(message: ToFollower): ToFollower {
  if (message.type === 'frame') return { ...message, frame: arrived(message.frame) }
  if (message.type === 'snapshotPage') return { ...message, page: Buffer.from(message.page) }
  return message
}
