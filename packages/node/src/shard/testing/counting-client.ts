/**
 * A client that counts: it numbers its increments, sends again in order what failed, and checks every
 * answer. If each takes effect exactly once, the answers of a key are 1, 2, 3, … without gaps (P4).
 */
import type { Answer } from '../answer.js'
import { faultOf, incrementCall, readCounterAnswer } from './calls.js'
import type { ShardUnderTest } from './shard-under-test.js'

const CLIENT_ID = 9_000_000

interface Increment {
  readonly key: string
  readonly sequence: number
  isResend: boolean
}

export class CountingClient {
  /** By key: the values that were answered. */
  readonly answered = new Map<string, Set<number>>()
  readonly issued = new Map<string, number>()
  /** Failed, and to be sent again before anything else. */
  private failed: Increment[] = []
  private underWay = 0
  private nextSequence = 1

  get isIdle(): boolean {
    return this.underWay === 0
  }

  get isDone(): boolean {
    return this.isIdle && this.failed.length === 0
  }

  /** Sends increments, unless others have to be sent again first. */
  increment(under: ShardUnderTest, keys: readonly string[]): void {
    if (this.failed.length > 0) return
    for (const key of keys) {
      this.issued.set(key, (this.issued.get(key) ?? 0) + 1)
      this.send(under, { key, sequence: this.nextSequence++, isResend: false })
    }
  }

  /** To be called when nothing is under way: an answer may still come otherwise. */
  resend(under: ShardUnderTest): void {
    const failed = this.failed.toSorted((one, other) => one.sequence - other.sequence)
    this.failed = []
    for (const increment of failed) this.send(under, { ...increment, isResend: true })
  }

  private send(under: ShardUnderTest, increment: Increment): void {
    const { key, sequence, isResend } = increment
    this.underWay += 1
    void under
      .attempt(incrementCall(key, 1), { clientId: CLIENT_ID, sequence, isResend })
      .then((answer) => {
        this.underWay -= 1
        this.take(increment, answer)
      })
  }

  private take(increment: Increment, answer: Answer): void {
    if (faultOf(answer) !== undefined) {
      this.failed.push(increment)
      return
    }
    const { key } = increment
    const [value] = readCounterAnswer(answer)
    const values = this.answered.get(key) ?? new Set()
    if (values.has(value)) throw new Error(`P4: ${key} came to ${value} twice`)
    this.answered.set(key, values.add(value))
  }

  /** The highest value of a key that was answered: no read may show less (P1, P3). */
  highest(key: string): number {
    return Math.max(0, ...(this.answered.get(key) ?? []))
  }
}
