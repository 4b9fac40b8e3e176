/**
 * Answers the read batches of one connection, in order.
 *
 * In the common case a batch is answered in the turn it came and in one message. A large reply is
 * cut into parts, and the lane stops while the client has too much unread; a batch of very many
 * calls is worked off in slices, so that it holds nobody else up. When there is more to answer than a
 * turn of the event loop has time for, the lanes of all connections take turns (`fair-turns.ts`).
 */
import type { BatchBody, ReadCall } from '@kv/protocol'
import { MOVED_ANSWER, unreadable, writeAnswer } from '../shard/answer.js'
import type { ReadableCopy } from '../shard/committed-reads.js'
import type { Connection } from './connection.js'
import type { FairTurns } from './fair-turns.js'
import { CALL_COST, Share, TURN_COST_MAX } from './fair-turns.js'
import { PART_BYTES_SOFT, Reply } from './reply.js'

/**
 * A slice of a batch ends when it has cost so much beside its answers: half of a turn, or one page of a range,
 * which may pass it.
 */
const SLICE_COST_SOFT = TURN_COST_MAX / 2

/** What a step of sorting costs: about a millisecond. */
const SORT_COST = TURN_COST_MAX / 2

export interface ReadBatch {
  readonly id: number
  readonly body: BatchBody
}

export interface ReadLanePorts {
  /** Shared by all connections of a link. */
  readonly turns: FairTurns<ReadLane>
  /** The copy that may answer a call of such a batch; none: the call is answered «moved». */
  copyFor(call: ReadCall, kind: BatchBody['kind']): ReadableCopy | undefined
  now(): number
  send(connection: Connection, batchId: number, final: boolean, message: Uint8Array): void
  /** The client broke the protocol with this batch. */
  onProtocolError(connection: Connection, batchId: number, error: unknown): void
}

/** A batch of which something is answered, or that waits for its keys to be sorted. */
interface Begun {
  readonly batch: ReadBatch
  readonly position: number
  /** The one at `position`, if it has been read. */
  readonly call: ReadCall | undefined
}

export class ReadLane {
  private readonly connection: Connection
  private readonly ports: ReadLanePorts
  private readonly share = new Share<ReadLane>()
  private readonly waiting: ReadBatch[] = []
  private begun: Begun | undefined
  private hasAsked = false
  /** Of the calls of the slice that is answered. */
  private cost = 0

  constructor(connection: Connection, ports: ReadLanePorts) {
    this.connection = connection
    this.ports = ports
  }

  take(batch: ReadBatch): void {
    const isNext = !this.hasAsked && this.begun === undefined && this.waiting.length === 0
    if (isNext && this.connection.hasRoom && this.ports.turns.admits(this.share)) {
      this.answer({ batch, position: 0, call: undefined })
    } else this.waiting.push(batch)
    this.askForTurn()
  }

  private askForTurn(): void {
    if (this.hasAsked || (this.begun === undefined && this.waiting.length === 0)) return
    if (this.connection.isClosed) {
      this.waiting.length = 0
      this.begun = undefined
    } else if (this.connection.hasRoom) {
      this.hasAsked = true
      this.ports.turns.ask(this.share, this)
    } else {
      this.connection.whenRoom(() => {
        this.askForTurn()
      })
    }
  }

  /** Does the piece of work that it asked for. */
  onTurn(): void {
    this.hasAsked = false
    // Others of this connection may have taken up the room meanwhile.
    if (this.connection.hasRoom && !this.connection.isClosed) {
      const batch = this.begun?.batch ?? (this.waiting.shift() as ReadBatch)
      this.answer(this.begun ?? { batch, position: 0, call: undefined })
    }
    this.askForTurn()
  }

  private answer(next: Begun): void {
    this.begun = undefined
    try {
      this.answerSlice(next)
    } catch (error) {
      this.ports.onProtocolError(this.connection, next.batch.id, error)
    }
  }

  /** One message: with all of the batch, unless it is large or needs preparation. */
  private answerSlice({ batch, position: start, call: first }: Begun): void {
    const { id, body } = batch
    const reply = new Reply(id)
    const nowMs = this.ports.now()
    this.cost = 0
    let position = start
    let call = first
    while (position < body.callCount && !this.isSliceFull(reply)) {
      call ??= body.next() as ReadCall
      if (this.needsOrder(call, body.kind)) {
        this.cost += SORT_COST
        break
      }
      this.answerCall(call, body.kind, nowMs, reply)
      call = undefined
      position += 1
    }
    this.ports.turns.charge(this.share, this.cost + reply.bytes)
    const final = position === body.callCount
    if (!final) this.begun = { batch, position, call }
    if (final && start === 0) this.send(id, true, reply.full(position))
    else if (position > start) {
      const answered = Array.from({ length: position - start }, (_, index) => start + index)
      this.send(id, final, reply.part(answered, final))
    }
  }

  private isSliceFull(reply: Reply): boolean {
    return reply.bytes > PART_BYTES_SOFT || this.cost >= SLICE_COST_SOFT
  }

  /** Whether the call reads in key order from a copy that has unsorted keys. */
  private needsOrder(call: ReadCall, kind: BatchBody['kind']): boolean {
    if (call.type !== 'scan' && call.type !== 'count') return false
    return this.ports.copyFor(call, kind)?.sortSome() === true
  }

  private answerCall(call: ReadCall, kind: BatchBody['kind'], nowMs: number, reply: Reply): void {
    const copy = this.ports.copyFor(call, kind)
    this.cost += CALL_COST
    if (copy === undefined) {
      writeAnswer(reply.writer, MOVED_ANSWER)
      return
    }
    const start = reply.writer.position
    try {
      this.cost += CALL_COST * (copy.read(call, nowMs, reply.writer) - 1)
    } catch (error) {
      reply.writer.position = start
      writeAnswer(reply.writer, unreadable(copy.id, error))
    }
  }

  private send(batchId: number, final: boolean, message: Uint8Array): void {
    this.ports.send(this.connection, batchId, final, message)
  }
}
