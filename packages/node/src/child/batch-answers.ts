/**
 * The answers to a batch of writes, gathered as their shards commit.
 *
 * What became ready in one turn of the event loop leaves as one reply: the whole batch when
 * everything is ready at once, a part of it when one shard's disk is slower than another's.
 */
import type { Answer, Answers } from '../shard/answer.js'
import { writeAnswer } from '../shard/answer.js'
import { Reply } from './reply.js'

/** Room for a typical answer, a version. */
const ANSWER_BYTES = 8

export class BatchAnswers implements Answers {
  readonly batchId: number
  private readonly answers: (Answer | undefined)[]
  private ready: number[] = []
  private outstanding: number
  private readonly onReady: (answers: BatchAnswers) => void

  /** `onReady` is called with the first answer after each `take`. */
  constructor(batchId: number, callCount: number, onReady: (answers: BatchAnswers) => void) {
    this.batchId = batchId
    this.answers = Array.from({ length: callCount })
    this.outstanding = callCount
    this.onReady = onReady
  }

  answer(position: number, answer: Answer): void {
    if (this.answers[position] !== undefined) throw new Error(`call ${position} answered twice`)
    this.answers[position] = answer
    this.outstanding -= 1
    this.ready.push(position)
    if (this.ready.length === 1) this.onReady(this)
  }

  /** The reply with what became ready since the last one. */
  take(): { message: Uint8Array; final: boolean } {
    const { ready } = this
    this.ready = []
    const final = this.outstanding === 0
    const reply = new Reply(this.batchId, ready.length * ANSWER_BYTES)
    const whole = ready.length === this.answers.length
    if (whole) for (const answer of this.answers) writeAnswer(reply.writer, answer as Answer)
    else for (const position of ready) writeAnswer(reply.writer, this.answers[position] as Answer)
    return { message: whole ? reply.full(ready.length) : reply.part(ready, final), final }
  }
}
