/**
 * The results of many calls behind one promise.
 *
 * Any number of calls may be gathered: they are made in slices, the next once the last is
 * answered, so that one large `getMany` or `setMany` does not fill the client's queue.
 */
import { KvError } from '@kv/protocol'
import type { CallGroup } from './session/pending-call.js'

const SLICE_CALLS_MAX = 4_096
const SLICE_BYTES_SOFT = 4_194_304

export interface GatheringOptions {
  readonly count: number
  /**
   * Makes the call at `index`, to settle it in `group`, which is told to expect it. Returns its bytes,
   * about.
   */
  readonly submit: (index: number, group: CallGroup) => number
  /** What it makes of the results, `undefined` where a call failed, once all calls have settled. */
  readonly finish: (results: unknown[], errors: ReadonlyMap<number, KvError>) => unknown
  /** Whether the first failure is the failure of all. */
  readonly failsFast: boolean
}

export class Gathering implements CallGroup {
  readonly promise: Promise<unknown>
  private readonly options: GatheringOptions
  /** As many as calls were made. */
  private readonly results: unknown[] = []
  private readonly errors = new Map<number, KvError>()
  openCount = 0
  private isDone = false
  private resolve!: (value: unknown) => void
  private reject!: (reason: unknown) => void

  constructor(options: GatheringOptions) {
    this.options = options
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  /** Makes the calls of the next slice. */
  submitSlice(): void {
    const { count, submit } = this.options
    // The slice itself counts as one, so that it can't end while it is being made.
    this.openCount = 1
    let bytes = 0
    for (let made = 0; made < SLICE_CALLS_MAX && bytes < SLICE_BYTES_SOFT; made += 1) {
      const index = this.results.length
      if (index >= count || this.isDone) break
      this.results.push(undefined)
      try {
        bytes += submit(index, this)
      } catch (error) {
        if (!(error instanceof KvError)) throw error
        this.openCount += 1
        this.fail(index, error)
      }
    }
    this.onOneSettled()
  }

  put(index: number, value: unknown): void {
    this.results[index] = value
  }

  fulfil(index: number, value: unknown): void {
    this.results[index] = value
    this.onOneSettled()
  }

  fail(index: number, error: KvError): void {
    this.errors.set(index, error)
    if (this.options.failsFast) this.abandon(error)
    this.onOneSettled()
  }

  /** Rejects at once; what the calls still bring is dropped. */
  abandon(reason: unknown): void {
    this.isDone = true
    this.reject(reason)
  }

  private onOneSettled(): void {
    this.openCount -= 1
    if (this.openCount > 0 || this.isDone) return
    if (this.results.length < this.options.count) {
      this.submitSlice()
      return
    }
    this.isDone = true
    try {
      this.resolve(this.options.finish(this.results, this.errors))
    } catch (error) {
      this.reject(error)
    }
  }
}

/** One rejection for several writes, with what became of each. Throws nothing, returns it. */
export function gatheredError(
  what: string,
  results: readonly unknown[],
  errors: ReadonlyMap<number, KvError>,
): KvError {
  const parts = results.map((result, index) => {
    const error = errors.get(index)
    return error === undefined ? result : { ok: false, error }
  })
  const first = errors.get(firstIndexOf(errors))!
  const hadNoEffect =
    errors.size === results.length &&
    Array.from(errors.values()).every((error) => error.outcome === 'not-applied')
  return new KvError(
    first.code,
    `${errors.size} of ${results.length} ${what} failed, the first because: ${first.message}; ` +
      'see results for each',
    { outcome: hadNoEffect ? 'not-applied' : 'unknown', cause: first, results: parts },
  )
}

/** The map is in the order of failure; thousands may have failed. */
function firstIndexOf(errors: ReadonlyMap<number, KvError>): number {
  let first = Infinity
  for (const index of errors.keys()) first = Math.min(first, index)
  return first
}
