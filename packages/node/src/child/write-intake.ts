/**
 * Takes write batches and hands their calls to the shards.
 *
 * While the overlay is at its limit, or the logs have as much before them as they write at a time,
 * everybody's writes wait here, and nothing is judged early. Each client's wait in the order they
 * came, by whichever of its ways; whose is next is decided fairly (`fair-turns.ts`). What waits is bounded
 * by what the coordinator lets a child have unanswered.
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
import { CALL_COST, FairTurns, Share } from './fair-turns.js'

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
  /** Whether the overlay and the logs can take more. */
  hasRoom(): boolean
  /** Why it will not have room soon, if that is so. */
  refusal(): Error | undefined
  readonly valueBytesMax: number
  readonly shardCount: number
}

/** A client that is connected, by how many ways. */
interface Writer {
  readonly share: Share<WriteBatch>
  ways: number
}

export class WriteIntake {
  private readonly ports: WriteIntakePorts
  private readonly turns: FairTurns<WriteBatch>
  private readonly writers = new Map<number, Writer>()
  private readonly touched = new Set<Shard>()
  /** A batch is worked off in slices; all others wait behind it. */
  private isWorking = false

  constructor(ports: WriteIntakePorts) {
    this.ports = ports
    this.turns = new FairTurns({
      work: (batch) => {
        this.work(batch)
      },
      isBlocked: () => this.isWorking || !ports.hasRoom(),
      onTurnEnd: () => {
        this.flush()
      },
    })
  }

  get isWaiting(): boolean {
    return this.turns.isWaiting
  }

  /** The client has connected, by one more way. */
  join(clientId: number): void {
    const writer = this.writers.get(clientId)
    if (writer === undefined) this.writers.set(clientId, { share: new Share(), ways: 1 })
    else writer.ways += 1
  }

  /**
   * A connection of the client is over. After its last one what waits is dropped: when the client comes
   * again it sends that again, and what it sends then must not be overtaken.
   */
  leave(clientId: number): void {
    const writer = this.writers.get(clientId)
    if (writer === undefined) return
    writer.ways -= 1
    if (writer.ways > 0) return
    this.writers.delete(clientId)
    this.turns.forget(writer.share)
  }

  /** Of a client that has joined. `flush` must follow in the same turn. */
  take(batch: WriteBatch): void {
    const writer = this.writers.get(batch.clientId)
    if (writer === undefined) return
    this.turns.ask(writer.share, batch)
    if (this.turns.isWaiting) this.refuseSome()
  }

  /** Goes on if there is room. */
  goOn(): void {
    this.turns.goOn()
    this.flush()
  }

  /** Goes on after room was made, or after it became clear that none will be. */
  resume(): void {
    if (!this.turns.isWaiting) return
    this.refuseSome()
    this.turns.goOn()
    this.flush()
  }

  /** Hands the groups that gathered to their logs. */
  flush(): void {
    for (const shard of this.touched) shard.flush()
    this.touched.clear()
  }

  private work(batch: WriteBatch): void {
    const writer = this.writers.get(batch.clientId)
    if (writer === undefined) return
    this.turns.charge(writer.share, batch.body.byteCount + batch.body.callCount * CALL_COST)
    if (this.ports.now() >= batch.deadlineMs) refuse(batch, tooLate())
    else if (batch.body.callCount > SLICE_CALLS) {
      this.isWorking = true
      void this.workInSlices(batch, 0)
    } else this.submitAll(batch)
  }

  /** What waits for room and would wait in vain is answered. */
  private refuseSome(): void {
    if (this.isWorking || this.ports.hasRoom()) return
    const nowMs = this.ports.now()
    const refusal = this.ports.refusal()
    const why = `the state can't take more writes (${refusal?.message}): free space, then try again`
    this.turns.withdraw((batch) => {
      const isLate = nowMs >= batch.deadlineMs
      if (isLate || refusal !== undefined)
        refuse(batch, isLate ? tooLate() : fault('NO_SPACE', why))
      return isLate || refusal !== undefined
    })
  }

  /** A batch that has to go on in later turns lets others wait behind it. */
  private submitAll(batch: WriteBatch): void {
    const origin = this.originOf(batch)
    try {
      for (let position = 0; position < batch.body.callCount; position += 1) {
        const call = batch.body.next()
        if (needsOrder(call, batch, this.ports)) {
          this.isWorking = true
          void this.workInSlices(batch, position, call)
          return
        }
        this.submit(call, position, batch, origin)
      }
    } catch (error) {
      batch.onProtocolError(error)
    }
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
    this.flush()
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

function refuse(batch: WriteBatch, answer: Answer): void {
  for (let position = 0; position < batch.body.callCount; position += 1) {
    batch.answers.answer(position, answer)
  }
}

function tooLate(): Answer {
  return fault('TIMEOUT', 'the write waited for the disk too long', 'not-applied')
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
