/** The coordinator, reduced to what it persists and to what it knows of the processes of copies. */
import type { SetChange, StoredSet } from '../in-sync-set.js'

export interface Ask {
  readonly epoch: number
  readonly change: SetChange
  readonly version: number
}

interface Hosted {
  readonly hosting: number
  /** The process has said that it has the directory open. */
  isOpen: boolean
}

export interface CoordinatorBugs {
  /** An addition is granted whichever hosting of the copy it was asked for. */
  readonly ignoresHostings?: boolean
  /** A change is made to whatever set there is. */
  readonly ignoresVersions?: boolean
}

export class SimulatedCoordinator {
  /** Persisted in one step with each change. */
  stored: StoredSet = { version: 1, members: [0] }
  epoch = 0
  primary = 0
  changes = 0
  refusals = 0
  /** What primaries have asked for, the dead ones too. */
  readonly asks: Ask[] = []
  /** On the way to the primary of an epoch. */
  readonly answers: { readonly epoch: number; readonly stored: StoredSet }[] = []
  private readonly hosted = new Map<number, Hosted>()
  private readonly bugs: CoordinatorBugs

  constructor(bugs: CoordinatorBugs) {
    this.bugs = bugs
  }

  onStarted(copy: number, hosting: number): void {
    this.hosted.set(copy, { hosting, isOpen: false })
  }

  onExit(copy: number): void {
    this.hosted.delete(copy)
  }

  onBacking(copy: number): void {
    const hosted = this.hosted.get(copy)
    if (hosted !== undefined) hosted.isOpen = true
  }

  isHosted(copy: number): boolean {
    return this.hosted.has(copy)
  }

  /** Answers what was asked first. An answer with the same members is a refusal. */
  decide(): void {
    const ask = this.asks.shift()
    if (ask === undefined) return
    const isCurrent = ask.epoch === this.epoch && ask.version === this.stored.version
    if (ask.epoch !== this.epoch && this.bugs.ignoresVersions !== true) return
    const { change } = ask
    const isGranted =
      (isCurrent || this.bugs.ignoresVersions === true) &&
      (change.type === 'remove' || this.mayAdd(change))
    const others = this.stored.members.filter((copy) => copy !== change.copy)
    const changed = change.type === 'add' ? [...others, change.copy] : others
    if (isGranted) this.changes += 1
    else this.refusals += 1
    this.persist(isGranted ? changed : this.stored.members)
    this.answers.push({ epoch: this.epoch, stored: this.stored })
  }

  private mayAdd({ copy, hosting }: SetChange): boolean {
    const hosted = this.hosted.get(copy)
    if (hosted === undefined || !hosted.isOpen) return false
    return hosted.hosting === hosting || this.bugs.ignoresHostings === true
  }

  /** One persisted step: the epoch, the primary, the set without those that nobody has. */
  promote(copy: number): void {
    const members = this.stored.members.filter((each) => each === copy || this.isHosted(each))
    this.epoch += 1
    this.primary = copy
    this.persist(members)
  }

  private persist(members: readonly number[]): void {
    this.stored = { version: this.stored.version + 1, members }
  }
}
