/** A simulated copy and the process that has it: dead or alive, stopped, with what it has in hand. */
import type { LogPosition } from '../../log/position.js'
import { Follower } from '../follower.js'
import type { ToPrimary } from '../messages.js'
import { ModelBuild } from './model-snapshot.js'
import { ReplicaDisk } from './replica-disk.js'

export class SimulatedCopy {
  readonly id: number
  disk: ReplicaDisk = new ReplicaDisk()
  isAlive = false
  /** It does nothing, and nobody is told. */
  isStopped = false
  hosting = 0
  follower: Follower | undefined
  /** Work that takes a while, in order. */
  readonly tasks: (() => void)[] = []
  /** The highest epoch that this process was greeted in. */
  private epoch = 0

  constructor(id: number) {
    this.id = id
  }

  get canAct(): boolean {
    return this.isAlive && !this.isStopped
  }

  start(hosting: number): void {
    this.isAlive = true
    this.isStopped = false
    this.hosting = hosting
    this.epoch = 0
  }

  /** The process is gone: the newest of what it wrote may or may not be on the disk. */
  crash(kept: number): void {
    this.isAlive = false
    this.endConversation()
    this.disk.crash(kept)
  }

  endConversation(): void {
    this.follower?.end()
    this.follower = undefined
    // A replica that was being built is given up.
    this.tasks.length = 0
  }

  /** Follows a primary over a new connection. */
  follow(ports: {
    send(message: ToPrimary): void
    onApply(revision: number): void
    onRebuilt(start: LogPosition): void
    onBroken(reason: string): void
    readonly forgetsEnd: boolean
  }): void {
    const later = (task: () => void): void => {
      this.tasks.push(() => {
        if (this.follower === follower) task()
      })
    }
    let build: ModelBuild | undefined
    const disk = (): ReplicaDisk => this.disk
    const follower: Follower = new Follower(this.epoch, {
      hosting: this.hosting,
      log: {
        get last() {
          return disk().last
        },
        get epochs() {
          return disk().epochs
        },
      },
      appliedRevision: () => Math.max(this.disk.appliedRevision, this.disk.applyingRevision),
      cut: (after) => {
        later(() => {
          this.disk.cut(after)
          follower.onCut()
        })
      },
      append: (frame) => this.disk.append(frame as Parameters<ReplicaDisk['append']>[0]),
      onCommit: (revision) => ports.onApply(revision),
      beginSnapshot: (begin) => {
        later(() => {
          build = new ModelBuild(begin)
        })
      },
      takePage: (page) => {
        later(() => {
          build!.takePage(page)
          follower.onPageTaken()
        })
      },
      endSnapshot: (end) => {
        later(() => {
          this.disk = build!.disk(ports.forgetsEnd ? { ...end, revision: 0 } : end)
          ports.onRebuilt(this.disk.last)
          follower.onRebuilt()
        })
      },
      send: (message) => {
        this.epoch = follower.highestEpoch
        ports.send(message)
      },
      onBroken: (reason) => ports.onBroken(reason),
    })
    this.follower = follower
  }
}
