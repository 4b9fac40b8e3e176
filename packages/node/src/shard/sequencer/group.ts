/**
 * A group: the entries that are committed together, as one frame of the log.
 *
 * It gathers while the frame before it is being synced; no timer and no artificial delay decide
 * its size. Answers wait in it until its frame is durable.
 */
import { PAGE_BYTES_SOFT } from '@kv/protocol'
import type { WireWriter } from '@kv/protocol'
import type { Answer, Answers } from '../answer.js'
import type { Held } from '../held.js'
import { FRAME_HEADER_BYTES } from '../log/frame.js'

interface Waiting {
  readonly answers: Answers
  readonly position: number
  /** A function: a read that is answered from the state after the commit. */
  readonly answer: Answer | (() => Answer)
}

/** A read of a range is made after the commit; its answer is a page. */
export function answerBytesOf(answer: Waiting['answer']): number {
  if (typeof answer === 'function') return PAGE_BYTES_SOFT
  return answer instanceof Uint8Array ? answer.length : 0
}

export class Group {
  /** The frame: headroom for the log's header, then the entries. */
  readonly writer: WireWriter
  readonly firstRevision: number
  /** When it began to gather; monotonic. */
  readonly sinceMs: number
  readonly keys: string[] = []
  readonly helds: Held[] = []
  count = 0
  /** Positions of removals that are expiries; few groups have any. */
  private expiries: Set<number> | undefined
  private copiedBytes = 0
  /** What the answers that wait here hold in memory, or will when they are made. */
  answerBytes = 0
  private readonly waiting: Waiting[] = []

  constructor(firstRevision: number, writer: WireWriter, sinceMs: number) {
    this.firstRevision = firstRevision
    this.sinceMs = sinceMs
    this.writer = writer
  }

  get lastRevision(): number {
    return this.firstRevision + this.count - 1
  }

  holds(revision: number): boolean {
    return this.firstRevision <= revision && revision <= this.lastRevision
  }

  get bodyBytes(): number {
    return this.writer.position - FRAME_HEADER_BYTES
  }

  /** Bytes of memory that live on with the group's values. */
  get memoryBytes(): number {
    return this.writer.position + this.copiedBytes
  }

  effect(key: string, held: Held): void {
    this.keys.push(key)
    this.helds.push(held)
    // A touched entry brings a copy of its value along.
    if (held.memory !== this.writer) this.copiedBytes += held.end - held.start
  }

  /** The effect that comes next is the end of an entry's time. */
  expiryFollows(): void {
    this.expiries ??= new Set()
    this.expiries.add(this.keys.length)
  }

  /** Whether the removal at this position is an expiry, not a deletion. */
  isExpiry(position: number): boolean {
    return this.expiries?.has(position) === true
  }

  answerAfterCommit(answers: Answers, position: number, answer: Waiting['answer']): void {
    this.waiting.push({ answers, position, answer })
    this.answerBytes += answerBytesOf(answer)
  }

  /** The frame is durable and its effects are visible. */
  deliver(): void {
    for (const { answers, position, answer } of this.waiting) {
      answers.answer(position, typeof answer === 'function' ? answer() : answer)
    }
  }

  /** The group was given up. */
  refuse(answer: Answer): void {
    for (const { answers, position } of this.waiting) answers.answer(position, answer)
  }
}
