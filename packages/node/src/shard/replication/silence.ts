/**
 * For how long each follower has owed the same answer. Pure: the time comes from outside.
 *
 * Only time in which this process ran is counted: after it was stopped for a while, what followers
 * sent meanwhile waits to be read, and none of them has been silent.
 */

/** A required copy that does not stream, or leaves a frame unsynced, for longer is asked out. */
export const FOLLOWER_SILENT_MS_MAX = 2_000

/** A follower that nobody waits for is let go after this: it may be opening files, or building. */
export const CONVERSATION_SILENT_MS_MAX = 30_000

/** Between two ticks no more time than this can have passed for anybody. */
const TICK_MS_MAX = 500

interface Debt {
  /** Names what is owed: another one is another debt. */
  readonly owed: number
  readonly sinceMs: number
}

export class Silence {
  private readonly debts = new Map<number, Debt>()
  private lastTickMs: number | undefined
  private elapsedMs = 0

  /** Time that has passed while this process ran. */
  get nowMs(): number {
    return this.elapsedMs
  }

  onTick(nowMs: number): void {
    const passedMs = nowMs - (this.lastTickMs ?? nowMs)
    this.lastTickMs = nowMs
    this.elapsedMs += Math.min(Math.max(passedMs, 0), TICK_MS_MAX)
  }

  /** For how long a copy has owed this; `undefined` is nothing. */
  ageMs(copy: number, owed: number | undefined): number {
    if (owed === undefined) {
      this.debts.delete(copy)
      return 0
    }
    const debt = this.debts.get(copy)
    if (debt?.owed === owed) return this.elapsedMs - debt.sinceMs
    this.debts.set(copy, { owed, sinceMs: this.elapsedMs })
    return 0
  }

  forget(copy: number): void {
    this.debts.delete(copy)
  }
}
