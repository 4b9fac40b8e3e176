/** Items that are written together: those of one turn, and those that came while others were written. */

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

export class Grouping<Item, Result> {
  private readonly write: (items: readonly Item[]) => Promise<readonly Result[]>
  private waiting: Waiting<Item, Result>[] = []
  private isWriting = false

  /**
   * `write` is called with one group at a time and gives one result for each item, in their order. If
   * it fails, each of them has failed.
   */
  constructor(write: (items: readonly Item[]) => Promise<readonly Result[]>) {
    this.write = write
  }

  /** No more than callers in flight ever wait: the load bounds them. */
  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject })
      if (this.isWriting) return
      this.isWriting = true
      setImmediate(this.writeNext)
    })
  }

  private readonly writeNext = (): void => {
    const group = this.waiting
    this.waiting = []
    this.write(group.map(({ item }) => item)).then(
      (results) => {
        for (const [index, { resolve }] of group.entries()) resolve(results[index] as Result)
        this.goOn()
      },
      (error: unknown) => {
        for (const { reject } of group) reject(error)
        this.goOn()
      },
    )
  }

  /** Once those that have just been answered have had their turn to ask for more. */
  private goOn(): void {
    setImmediate(() => {
      if (this.waiting.length > 0) this.writeNext()
      else this.isWriting = false
    })
  }
}
