/**
 * Key order over a map that is written far more often than it is read in order.
 *
 * A map keeps its keys in the order of insertion. The first ordered read sorts them in runs of
 * bounded length, later ones sort only what came since; a cursor merges the runs. Without ordered
 * reads nothing is paid, and no step sorts more than one run: about a millisecond.
 */
import { compareKeys } from '@kv/protocol'

const RUN_KEYS_MAX = 2_048
/** Beginning here UTF-16 order and UTF-8 order differ. */
const HIGH_UNIT = /[\ud800-\uffff]/

export class SortedRuns {
  private readonly runs: string[][] = []
  private readonly keys: Iterator<string>
  private readonly size: () => number
  private sortedCount = 0

  /** `map` may only grow: a key that was in it stays. */
  constructor(map: ReadonlyMap<string, unknown>) {
    // Iterators of a Map are live: they go on with what is inserted later, as long as they were
    // never asked beyond the end.
    this.keys = map.keys()
    this.size = (): number => map.size
  }

  /** Sorts up to one run of what is not sorted yet. Returns whether more is left. */
  sortSome(): boolean {
    const run: string[] = []
    const due = Math.min(this.size() - this.sortedCount, RUN_KEYS_MAX)
    while (run.length < due) run.push(this.keys.next().value as string)
    if (run.length > 0) {
      this.sortedCount += run.length
      this.runs.push(sortKeys(run))
      this.mergeSmallRuns()
    }
    return this.sortedCount < this.size()
  }

  /** Keeps the number of runs near `size / RUN_KEYS_MAX` when each scan adds only a few keys. */
  private mergeSmallRuns(): void {
    for (;;) {
      const last = this.runs.at(-1)
      const before = this.runs.at(-2)
      if (last === undefined || before === undefined) return
      if (before.length > 2 * last.length || before.length + last.length > RUN_KEYS_MAX) return
      this.runs.splice(-2, 2, sortKeys(before.concat(last)))
    }
  }

  /** Everything must be sorted. Keys added later are not seen. */
  cursor(from: string, to: string | undefined, reverse: boolean): KeyCursor {
    return new KeyCursor(this.runs, from, to, reverse)
  }
}

function sortKeys(keys: string[]): string[] {
  return keys.some((key) => HIGH_UNIT.test(key)) ? keys.sort(compareKeys) : keys.sort()
}

interface RunPosition {
  readonly run: readonly string[]
  index: number
  /** One past the last index in the direction of travel. */
  readonly stop: number
}

/** Walks through the keys of all runs within `[from, to)` in order, or in reverse. */
export class KeyCursor {
  /** A binary heap: the position with the next key is first. */
  private readonly heap: RunPosition[] = []
  private readonly step: 1 | -1

  constructor(
    runs: readonly (readonly string[])[],
    from: string,
    to: string | undefined,
    reverse: boolean,
  ) {
    this.step = reverse ? -1 : 1
    for (const run of runs) {
      const low = lowerBound(run, from)
      const high = to === undefined ? run.length : lowerBound(run, to)
      if (low >= high) continue
      this.heap.push(
        reverse ? { run, index: high - 1, stop: low - 1 } : { run, index: low, stop: high },
      )
    }
    for (let at = (this.heap.length >> 1) - 1; at >= 0; at -= 1) this.sink(at)
  }

  /** The next key, or `undefined` at the end. */
  get key(): string | undefined {
    return this.heap[0] === undefined ? undefined : keyAt(this.heap[0])
  }

  advance(): void {
    const first = this.heap[0]
    if (first === undefined) return
    first.index += this.step
    if (first.index === first.stop) {
      const last = this.heap.pop() as RunPosition
      if (this.heap.length === 0) return
      if (last !== first) this.heap[0] = last
    }
    this.sink(0)
  }

  private sink(start: number): void {
    const { heap } = this
    let at = start
    for (;;) {
      let next = 2 * at + 1
      if (next >= heap.length) return
      if (next + 1 < heap.length && this.before(next + 1, next)) next += 1
      if (!this.before(next, at)) return
      const moved = heap[at] as RunPosition
      heap[at] = heap[next] as RunPosition
      heap[next] = moved
      at = next
    }
  }

  private before(left: number, right: number): boolean {
    const a = keyAt(this.heap[left] as RunPosition)
    const b = keyAt(this.heap[right] as RunPosition)
    return compareKeys(a, b) * this.step < 0
  }
}

function keyAt(position: RunPosition): string {
  return position.run[position.index] as string
}

/** Index of the first key that is not before `key`. */
function lowerBound(run: readonly string[], key: string): number {
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(run[middle] as string, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
