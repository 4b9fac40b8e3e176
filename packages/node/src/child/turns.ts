/** Work that must not overlap, in the order it came: one line of it for each shard. */

export class Turns {
  private readonly lines = new Map<number, Promise<void>>()

  /** Begins at once if nothing of the shard is under way. Settles as the work does. */
  run(shard: number, work: () => Promise<void>): Promise<void> {
    const before = this.lines.get(shard)
    const running = before === undefined ? work() : before.then(work)
    const line = running
      .catch(() => undefined)
      .then(() => {
        if (this.lines.get(shard) === line) this.lines.delete(shard)
      })
    this.lines.set(shard, line)
    return running
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.lines.size > 0) await Promise.all(this.lines.values())
  }
}
