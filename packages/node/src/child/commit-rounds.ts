/**
 * Paces the logs of a child: their frames are written in rounds.
 *
 * A sync costs about 0.1 ms of CPU however little it syncs. Were each log written whenever it is
 * free, a child with many shards would spend its time on syncs of one or two entries; so while a
 * round is being synced every shard gathers, and the next round takes what they have. A lone write
 * finds no round under way and starts one at once: there is no timer and no artificial delay. A
 * round that takes longer than `patienceMs` is not waited for: one slow disk must not stop others.
 * What it is worth, and what it does not solve: ADR 0003.
 */

type Append = () => Promise<void> | undefined

export const PATIENCE_MS = 5

export class CommitRounds {
  private readonly now: () => number
  private waiting: Append[] = []
  private syncing = 0
  private begunAtMs = 0
  private isScheduled = false

  /** `now` is in milliseconds and never goes back. */
  constructor(now: () => number) {
    this.now = now
  }

  /** A log has a group to write. */
  take(append: Append): void {
    this.waiting.push(append)
    if (this.syncing === 0 || this.isOverdue) this.schedule()
  }

  /** To be called now and then: nobody else notices a round that never ends. */
  onTick(): void {
    if (this.waiting.length > 0 && this.isOverdue) this.schedule()
  }

  private get isOverdue(): boolean {
    return this.now() - this.begunAtMs > PATIENCE_MS
  }

  /** Begins the next round after the code that runs now, which may bring more shards to it. */
  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    queueMicrotask(() => {
      this.isScheduled = false
      this.begin()
    })
  }

  private begin(): void {
    const round = this.waiting
    this.waiting = []
    this.begunAtMs = this.now()
    this.syncing += round.length
    for (const append of round) {
      const done = append()
      if (done === undefined) this.onDone()
      else void done.then(() => this.onDone())
    }
  }

  private onDone(): void {
    this.syncing -= 1
    if (this.syncing === 0 && this.waiting.length > 0) this.schedule()
  }
}
