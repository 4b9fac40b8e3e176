/**
 * Which copies must hold a record before it is acknowledged, as the primary of one epoch knows it
 * (hard-parts 19). Pure.
 *
 * A copy is required from the moment the primary asks to add it, and until the primary is told that
 * the set without it is persisted. So whatever the coordinator has persisted at any moment, each of
 * its members holds everything that was acknowledged.
 */
export interface StoredSet {
  /** Grows with each change that the coordinator persists. */
  readonly version: number
  readonly members: readonly number[]
}

export type SetChange = { readonly type: 'add' | 'remove'; readonly copy: number }

export class InSyncSet {
  /** The primary's own copy: always a member. */
  readonly self: number
  private stored: StoredSet
  private asked: SetChange | undefined
  private readonly wanted: SetChange[] = []
  private readonly hasCaughtUp: (copy: number) => boolean

  /**
   * `hasCaughtUp` says whether a copy has everything that is committed at this moment: it is asked
   * again when the turn of an addition comes, since more may have been committed while it waited.
   */
  constructor(self: number, stored: StoredSet, hasCaughtUp: (copy: number) => boolean) {
    if (!stored.members.includes(self)) throw new Error(`copy ${self} is not in sync`)
    this.self = self
    this.stored = stored
    this.hasCaughtUp = hasCaughtUp
  }

  get version(): number {
    return this.stored.version
  }

  get members(): readonly number[] {
    return this.stored.members
  }

  /** The change that the coordinator is asked for, if any: one at a time. */
  get pending(): SetChange | undefined {
    return this.asked
  }

  isRequired(copy: number): boolean {
    const { asked } = this
    if (this.stored.members.includes(copy)) return true
    return asked !== undefined && asked.type === 'add' && asked.copy === copy
  }

  /** Copies that must hold a record before it counts. */
  get required(): readonly number[] {
    const { asked } = this
    const { members } = this.stored
    return asked?.type === 'add' && !members.includes(asked.copy)
      ? [...members, asked.copy]
      : members
  }

  /** Wants a copy in or out. Returns the change to ask for now, if nothing else is being asked. */
  want(change: SetChange): SetChange | undefined {
    for (let index = this.wanted.length - 1; index >= 0; index -= 1) {
      if (this.wanted[index]!.copy === change.copy) this.wanted.splice(index, 1)
    }
    this.wanted.push(change)
    return this.askNext()
  }

  /**
   * The coordinator has persisted this set; an older one changes nothing. Returns the next change to
   * ask for.
   */
  onStored(stored: StoredSet): SetChange | undefined {
    if (stored.version <= this.stored.version) return undefined
    this.stored = stored
    this.asked = undefined
    return this.askNext()
  }

  private askNext(): SetChange | undefined {
    while (this.asked === undefined) {
      const next = this.wanted.shift()
      if (next === undefined) return undefined
      const isMember = this.stored.members.includes(next.copy)
      if (next.copy === this.self || isMember === (next.type === 'add')) continue
      if (next.type === 'add' && !this.hasCaughtUp(next.copy)) continue
      this.asked = next
      return next
    }
    return undefined
  }
}
