/**
 * Decides when the answers to write batches leave.
 *
 * A batch is answered whole, in one message at the end of the turn that brought its last answer:
 * its shards sync their logs side by side and are ready within a millisecond of each other.
 * Answering each when it is ready would send the client's next calls back in ever smaller batches,
 * each with frames and syncs of its own (ADR 0003). Only when a shard keeps a batch waiting for longer than
 * `patienceMs`, what is ready leaves without it, so that one slow disk holds up nothing else.
 */
import { setImmediate as atTurnsEnd } from 'node:timers'
import type { BatchAnswers } from './batch-answers.js'
import type { Connection } from './connection.js'

export const PATIENCE_MS = 5

export class ReplyGate {
  private readonly send: (connection: Connection, answers: BatchAnswers) => void
  private complete: BatchAnswers[] = []
  /** Batches with answers, but not all; and who they are from. */
  private readonly owners = new Map<BatchAnswers, Connection>()
  private patience: NodeJS.Timeout | undefined

  constructor(send: (connection: Connection, answers: BatchAnswers) => void) {
    this.send = send
  }

  /** The batch has its first answer since it was sent last, or its last one. */
  onAnswer(connection: Connection, answers: BatchAnswers): void {
    this.owners.set(answers, connection)
    if (answers.isComplete) {
      this.complete.push(answers)
      if (this.complete.length === 1) atTurnsEnd(() => this.sendAll(this.complete.splice(0)))
    } else {
      this.patience ??= setTimeout(() => {
        this.patience = undefined
        this.sendAll([...this.owners.keys()])
      }, PATIENCE_MS)
    }
  }

  private sendAll(batches: readonly BatchAnswers[]): void {
    for (const answers of batches) {
      const connection = this.owners.get(answers)
      this.owners.delete(answers)
      if (connection !== undefined) this.send(connection, answers)
    }
  }
}
