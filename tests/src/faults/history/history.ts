/**
 * Records what clients ask and what they are told, by one monotonic clock.
 *
 * What becomes of a call decides how it stands in the history: acknowledged with its answer; failed as
 * `not-applied`, not at all (a value of it that is ever read is then a violation); failed as
 * `unknown`, open for ever; failed as `applied`, done with an answer that nobody knows.
 */
import { KvError } from '@kv/client'
import type { Action, Answer, Operation } from './operation.js'

export interface HistoryCounts {
  readonly acknowledged: number
  readonly acknowledgedWrites: number
  readonly unknown: number
  readonly notApplied: number
}

/** An expiry is a delete somewhere around the time it is due: clocks are read to the millisecond. */
const EXPIRY_SLACK_MS = 250

export class History {
  private readonly now: () => number
  private recorded: Operation[] = []
  private acknowledged = 0
  private acknowledgedWrites = 0
  private unknown = 0
  private notApplied = 0
  private readonly codeCounts = new Map<string, number>()

  constructor(now: () => number = () => performance.now()) {
    this.now = now
  }

  get operations(): readonly Operation[] {
    return this.recorded
  }

  get counts(): HistoryCounts {
    const { acknowledged, acknowledgedWrites, unknown, notApplied } = this
    return { acknowledged, acknowledgedWrites, unknown, notApplied }
  }

  /** How often each error came, as `CODE outcome`. */
  get failures(): ReadonlyMap<string, number> {
    return this.codeCounts
  }

  /** What was recorded so far; recording begins anew. */
  take(): readonly Operation[] {
    const { recorded } = this
    this.recorded = []
    return recorded
  }

  /**
   * Performs one call. Resolves to its answer, or `undefined` if it failed as calls may while there
   * are faults; rejects if it failed in any other way.
   */
  async perform(
    client: number,
    action: Action,
    call: () => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const invokedAt = this.now()
    try {
      const answer = await call()
      this.record({ client, action, invokedAt, returnedAt: this.now(), answer })
      this.acknowledged += 1
      if (action.type !== 'read') this.acknowledgedWrites += 1
      return answer
    } catch (error) {
      if (!(error instanceof KvError)) throw error
      this.failed(client, action, invokedAt, error)
      return undefined
    }
  }

  private failed(client: number, action: Action, invokedAt: number, error: KvError): void {
    const name = `${error.code} ${error.outcome}`
    this.codeCounts.set(name, (this.codeCounts.get(name) ?? 0) + 1)
    // A read that was not answered says nothing.
    if (action.type === 'read') return
    if (error.outcome === 'not-applied') {
      this.notApplied += 1
      return
    }
    if (error.outcome === 'unknown') this.unknown += 1
    const returnedAt = error.outcome === 'unknown' ? Infinity : this.now()
    this.record({ client, action, invokedAt, returnedAt, answer: undefined })
  }

  /** What was written with a time to live also ends, unless it was refused. */
  private record(operation: Operation): void {
    this.recorded.push(operation)
    const { action, invokedAt, returnedAt, answer } = operation
    if (action.type !== 'set' || action.ttlMs === undefined || answer?.type === 'refused') return
    this.recorded.push({
      client: 0,
      action: { type: 'expire', key: action.key, value: action.value },
      invokedAt: invokedAt + action.ttlMs - EXPIRY_SLACK_MS,
      returnedAt: returnedAt + action.ttlMs + EXPIRY_SLACK_MS,
      answer: undefined,
    })
  }
}
