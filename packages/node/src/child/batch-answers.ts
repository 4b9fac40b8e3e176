/**
 * The answers to a batch of writes, gathered as their shards commit. When they leave, whole or in
 * parts, is for `reply-gate.ts` to say.
 */
import type { Answer, Answers } from '../shard/answer.js'
import { writeAnswer } from '../shard/answer.js'
import { PART_BYTES_SOFT, Reply } from './reply.js'

export interface TakenReply {
  readonly message: Uint8Array
  /** No other reply to the batch follows. */
  readonly final: boolean
}

export class BatchAnswers implements Answers {
  readonly batchId: number
  private readonly answers: (Answer | undefined)[]
  private ready: number[] = []
  private outstanding: number
  private readonly onReady: (answers: BatchAnswers) => void

  /** `onReady` is called with the first answer after each `take`, and with the last of all. */
  constructor(batchId: number, callCount: number, onReady: (answers: BatchAnswers) => void) {
    this.batchId = batchId
    this.answers = Array.from({ length: callCount })
    this.outstanding = callCount
    this.onReady = onReady
  }

  /** Every call has its answer. */
  get isComplete(): boolean {
    return this.outstanding === 0
  }

  answer(position: number, answer: Answer): void {
    if (this.answers[position] !== undefined) throw new Error(`call ${position} answered twice`)
    this.answers[position] = answer
    this.outstanding -= 1
    this.ready.push(position)
    if (this.ready.length === 1 || this.isComplete) this.onReady(this)
  }

  /** The replies with what became ready since the last time: more than one if they are large. */
  take(): TakenReply[] {
    const isWhole = this.ready.length === this.answers.length
    const order = isWhole ? this.answers.keys() : this.ready.values()
    const replies: TakenReply[] = []
    let due = this.ready.length
    let reply = new Reply(this.batchId)
    let positions: number[] = []
    this.ready = []
    for (const position of order) {
      writeAnswer(reply.writer, this.answers[position] as Answer)
      positions.push(position)
      due -= 1
      if (due === 0 || reply.bytes <= PART_BYTES_SOFT) continue
      replies.push({ message: reply.part(positions, false), final: false })
      reply = new Reply(this.batchId)
      positions = []
    }
    const final = this.isComplete
    const isFull = isWhole && replies.length === 0
    const message = isFull ? reply.full(positions.length) : reply.part(positions, final)
    replies.push({ message, final })
    return replies
  }
}
