/**
 * Takes write batches in the order they came and hands their calls to the shards.
 *
 * One queue for all connections: while the overlay is at its limit everybody's writes wait here,
 * in order, and nothing is judged early. What waits is bounded by what the coordinator lets a
 * child have unanswered.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BatchBody, Call } from '@kv/protocol'
import { isReadCall } from '@kv/protocol'
import type { Answer } from '../shard/answer.js'
import { fault, MOVED_ANSWER, unreadable } from '../shard/answer.js'
import type { Origin } from '../shard/sequencer/sequencer.js'
import type { Shard } from '../shard/shard.js'
import type { BatchAnswers } from './batch-answers.js'
import { refusalOf } from './call-refusal.js'

const SLICE_CALLS = 2_048

export interface WriteBatch {
  readonly body: BatchBody
  readonly clientId: number
  /** The topology the client routed by. */
  readonly topologyVersion: number
  readonly answers: BatchAnswers
  /** Nobody waits for the answers any more from then on. */
  readonly deadlineMs: number
  /** The client broke the protocol with this batch. */
  readonly onProtocolError: (error: unknown) => void
}

export interface WriteIntakePorts {
  /** The shard of the call, if it may be written to by clients that know this topology. */
  shardFor(call: Call, topologyVersion: number): Shard | undefined
  now(): number
  /** Whether the overlay can take more. */
  hasRoom(): boolean
  /** Why it will not have room soon, if that is so. */
  refusal(): Error | undefined
  readonly valueBytesMax: number
  readonly shardCount: number
}

export class WriteIntake {
  private readonly ports: WriteIntakePorts
  private readonly waiting: WriteBatch[] = []
  private readonly touched = new Set<Shard>()
  private isWorking = false

  constructor(ports: WriteIntakePorts) {
    this.ports = ports
  }

  /** `flush` must follow in the same turn. */
  take(batch: WriteBatch): void {
    this.waiting.push(batch)
    if (!this.isWorking) this.work()
  }

  /** Goes on after room was made, or after it became clear that none will be. */
  resume(): void {
    if (this.isWorking) return
    this.work()
    this.flush()
  }

  /** Hands the groups that gathered to their logs. */
  flush(): void {
    for (const shard of this.touched) shard.flush()
    this.touched.clear()
  }

  /** Works off batches while they need no waiting in between. */
  private work(): void {
    for (let batch = this.admit(); batch !== undefined; batch = this.admit()) {
      if (batch.body.callCount > SLICE_CALLS) {
        this.isWorking = true
        void this.workInSlices(batch, 0)
        return
      }
      if (!this.submitAll(batch)) return
    }
  }

  private admit(): WriteBatch | undefined {
    const batch = this.waiting[0]
    if (batch === undefined) return undefined
    if (this.ports.now() >= batch.deadlineMs) {
      this.refuseNext(fault('TIMEOUT', 'the write waited for the disk too long', 'not-applied'))
      return this.admit()
    }
    if (this.ports.hasRoom()) return this.waiting.shift()
    const refusal = this.ports.refusal()
    if (refusal === undefined) return undefined
    const why = `the state can't take more writes (${refusal.message}): free space, then try again`
    this.refuseNext(fault('NO_SPACE', why))
    return this.admit()
  }

  private refuseNext(answer: Answer): void {
    const batch = this.waiting.shift() as WriteBatch
    for (let position = 0; position < batch.body.callCount; position += 1) {
      batch.answers.answer(position, answer)
    }
  }

  /** Returns false if the batch has to go on in later turns; others then wait behind it. */
  private submitAll(batch: WriteBatch): boolean {
    const origin = this.originOf(batch)
    try {
      for (let position = 0; position < batch.body.callCount; position += 1) {
        const call = batch.body.next()
        if (needsOrder(call, batch, this.ports)) {
          this.isWorking = true
          void this.workInSlices(batch, position, call)
          return false
        }
        this.submit(call, position, batch, origin)
      }
    } catch (error) {
      batch.onProtocolError(error)
    }
    return true
  }

  private async workInSlices(batch: WriteBatch, start: number, first?: Call): Promise<void> {
    try {
      let call = first
      let origin = this.originOf(batch)
      for (let position = start; position < batch.body.callCount; position += 1) {
        call ??= batch.body.next()
        while (needsOrder(call, batch, this.ports)) origin = await this.originInNextTurn(batch)
        this.submit(call, position, batch, origin)
        call = undefined
        if ((position - start) % SLICE_CALLS === SLICE_CALLS - 1) {
          this.flush()
          origin = await this.originInNextTurn(batch)
        }
      }
    } catch (error) {
      batch.onProtocolError(error)
    }
    this.isWorking = false
    this.resume()
  }

  /** Time has gone on: what is judged then must not be judged by the time before. */
  private async originInNextTurn(batch: WriteBatch): Promise<Origin> {
    await nextTurn()
    return this.originOf(batch)
  }

  private originOf(batch: WriteBatch): Origin {
    const { clientId, answers, body } = batch
    const nowMs = this.ports.now()
    const isResend = body.kind === 'resends'
    const { lowWater } = body
    return { clientId, lowWater, isResend, answers, nowMs, sequence: 0, position: 0 }
  }

  private submit(call: Call, position: number, batch: WriteBatch, origin: Origin): void {
    origin.position = position
    origin.sequence = batch.body.sequenceAt(position)
    const shard = this.ports.shardFor(call, batch.topologyVersion)
    if (shard === undefined) {
      batch.answers.answer(position, MOVED_ANSWER)
      return
    }
    const refusal = refusalOf(call, this.ports)
    if (refusal !== undefined) {
      batch.answers.answer(position, refusal)
      return
    }
    this.touched.add(shard)
    submitTo(shard, call, origin)
  }
}

function submitTo(shard: Shard, call: Call, origin: Origin): void {
  try {
    if (isReadCall(call)) shard.readInOrder(call, origin)
    else shard.submit(call, origin)
  } catch (error) {
    // The stored state could not be read: nothing was decided.
    origin.answers.answer(origin.position, unreadable(shard.id, error))
  }
}

/** Whether the call needs the shard's keys in order; sorts a part of them if so. */
function needsOrder(call: Call, batch: WriteBatch, ports: WriteIntakePorts): boolean {
  if (call.type !== 'clear' && call.type !== 'scan' && call.type !== 'count') return false
  return ports.shardFor(call, batch.topologyVersion)?.sortSome() === true
}
