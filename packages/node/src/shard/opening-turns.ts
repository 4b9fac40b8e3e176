/**
 * Lets only a few copies of a volume be opened at a time. A child has one thread for what an opening
 * computes: of eight that are opened at once none is served before the last is read. The others wait in
 * the order they came. One that takes long hangs, as its disk may: it does not keep the others.
 */

/** What one computes hides the syncs of the others. */
const OPENINGS_MAX = 3
const PATIENCE_MS = 1_000

export class OpeningTurns {
  private underWay = 0
  private readonly waiting: (() => void)[] = []

  /** Resolves when it is the caller's turn, with what is to be called at its end. */
  async begin(): Promise<() => void> {
    if (this.underWay < OPENINGS_MAX) this.underWay += 1
    else await new Promise<void>((resolve) => this.waiting.push(resolve))
    let hasEnded = false
    const end = (): void => {
      if (hasEnded) return
      hasEnded = true
      clearTimeout(timer)
      const next = this.waiting.shift()
      if (next === undefined) this.underWay -= 1
      else next()
    }
    const timer = setTimeout(end, PATIENCE_MS)
    timer.unref()
    return end
  }
}
