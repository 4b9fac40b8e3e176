/**
 * Copies that are expected to come back in a moment, and where their logs ended: the primary's log is
 * kept for them for a while, so that a backup that restarts goes on from its log and not from a
 * snapshot. Pure.
 */

/** A copy that stays away for longer pins nothing (hard-parts 7). */
const LOST_MS_MAX = 60_000

interface LostCopy {
  readonly durableRevision: number
  readonly sinceMs: number
}

export class LostCopies {
  private readonly copies = new Map<number, LostCopy>()

  /** Of the members that an epoch begins with it is not known how far they have come. */
  constructor(members: readonly number[]) {
    for (const copy of members) this.add(copy, 0, 0)
  }

  get neededRevision(): number {
    let revision = Infinity
    for (const { durableRevision } of this.copies.values()) {
      revision = Math.min(revision, durableRevision + 1)
    }
    return revision
  }

  add(copy: number, durableRevision: number, nowMs: number): void {
    this.copies.set(copy, { durableRevision, sinceMs: nowMs })
  }

  /** It follows again, or can't. */
  forget(copy: number): void {
    this.copies.delete(copy)
  }

  onTick(nowMs: number): void {
    for (const [copy, { sinceMs }] of this.copies) {
      if (nowMs - sinceMs > LOST_MS_MAX) this.copies.delete(copy)
    }
  }
}
