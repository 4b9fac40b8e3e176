/**
 * Lets few come in at a time (P7): a greeting costs as much as dozens of calls, and hundreds may ask for one
 * in the same turn of the event loop. Those who are in are heard between.
 */

/** Upgrades of one turn of the event loop: about two milliseconds. */
export const UPGRADES_PER_TURN_MAX = 4

/** Upgrades that wait for their turn. */
export const UPGRADES_WAITING_MAX = 1_024

export class UpgradeLine {
  private waiting: (() => void)[] = []
  private answered = 0
  private isTurnOpen = false

  get isFull(): boolean {
    return this.waiting.length >= UPGRADES_WAITING_MAX
  }

  /** Calls `answer` now, or in its turn. */
  take(answer: () => void): void {
    this.waiting.push(answer)
    if (!this.isTurnOpen) this.openTurn()
    this.goOn()
  }

  private goOn(): void {
    let taken = 0
    while (taken < this.waiting.length && this.answered < UPGRADES_PER_TURN_MAX) {
      this.answered += 1
      this.waiting[taken]!()
      taken += 1
    }
    this.waiting.splice(0, taken)
  }

  private openTurn(): void {
    this.isTurnOpen = true
    setImmediate(() => {
      this.isTurnOpen = false
      this.answered = 0
      if (this.waiting.length === 0) return
      this.openTurn()
      this.goOn()
    })
  }
}
