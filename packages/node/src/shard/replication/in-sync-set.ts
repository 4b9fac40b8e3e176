/**
 * Which copies must hold a record before it is acknowledged, as the primary of one epoch knows it
 * (hard-parts 19). Pure.
 *
 * A copy is required from the moment the primary asks to add it, and until the primary is told that
 * the set without it is persisted. So whatever the coordinator has persisted at any moment, each of
 * its members holds everything that was acknowledged.
 */
export interface StoredSet {
  /** Grows with each answer of the coordinator, also with one that leaves the members as they are. */
  readonly version: number
  readonly members: readonly number[]
}

export interface SetChange {
  readonly type: 'add' | 'remove'
  readonly copy: number
  /** Which hosting of the copy is to be added; 0 for a removal. */
  readonly hosting: number
}

/** What came of an answer; `refused` names the change that was asked for and not made. */
export interface SetAnswer {
  readonly refused: SetChange | undefined
}

export class InSyncSet {
  /** The primary's own copy: always a member. */
  readonly self: number
  private stored: StoredSet
  private asked: SetChange | undefined

  constructor(self: number, stored: StoredSet) {
    if (!stored.members.includes(self)) throw new Error(`copy ${self} is not in sync`)
    this.self = self
    this.stored = stored
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

  isMember(copy: number): boolean {
    return this.stored.members.includes(copy)
  }

  isRequired(copy: number): boolean {
    const { asked } = this
    return this.isMember(copy) || (asked?.type === 'add' && asked.copy === copy)
  }

  /** Copies that must hold a record before it counts. */
  get required(): readonly number[] {
    const { asked } = this
    const { members } = this.stored
    return asked?.type === 'add' && !members.includes(asked.copy)
      ? [...members, asked.copy]
      : members
  }

  /** The coordinator is being asked for this change. From now on a copy that joins is required. */
  ask(change: SetChange): void {
    if (this.asked !== undefined) throw new Error('a change of the set is asked for already')
    this.asked = change
  }

  /**
   * The coordinator has persisted this set, which ends the change that was asked for. An older one
   * says nothing: `undefined`.
   */
  onStored(stored: StoredSet): SetAnswer | undefined {
    if (stored.version <= this.stored.version) return undefined
    const { asked } = this
    this.stored = stored
    this.asked = undefined
    const isRefused = asked !== undefined && this.isMember(asked.copy) !== (asked.type === 'add')
    return { refused: isRefused ? asked : undefined }
  }
}
