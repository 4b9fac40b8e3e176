/**
 * Which of many sorted sources has the next key: a binary heap of their first keys. Pure.
 */
import { compareKeys } from '@kv/protocol'

/** A sorted source; only ones that have a first key are in the heap. */
export interface MergeSource {
  /** Its next key, in the order of the merge. */
  readonly headKey: string
}

export class Merge<S extends MergeSource> {
  private readonly heap: S[] = []
  private readonly direction: 1 | -1

  constructor(reverse: boolean) {
    this.direction = reverse ? -1 : 1
  }

  /** The source with the next key of all. */
  get first(): S | undefined {
    return this.heap[0]
  }

  add(source: S): void {
    let index = this.heap.length
    this.heap.push(source)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.isBefore(source, this.heap[parent]!)) break
      this.heap[index] = this.heap[parent]!
      index = parent
    }
    this.heap[index] = source
  }

  /** The first source has moved on to its next key. */
  settleFirst(): void {
    const source = this.heap[0]
    if (source !== undefined) this.sink(source)
  }

  /** The first source has no key for now. */
  removeFirst(): void {
    const last = this.heap.pop()
    if (last !== undefined && this.heap.length > 0) this.sink(last)
  }

  /** Puts `source` on top and lets it sink to its place. */
  private sink(source: S): void {
    const { heap } = this
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!this.isBefore(heap[child]!, source)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = source
  }

  private isBefore(left: S, right: S): boolean {
    return compareKeys(left.headKey, right.headKey) * this.direction < 0
  }
}
