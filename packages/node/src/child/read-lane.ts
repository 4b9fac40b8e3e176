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
import { CALL_COST, RANGE_COST, Share } from './fair-turns.js'
import { PART_BYTES_SOFT, Reply } from './reply.js'

const SLICE_CALLS = 2_048

/** What a slice is charged for before it is known what it costs. */
const SLICE_COST_MIN = PART_BYTES_SOFT

export interface ReadBatch {
  readonly id: number
  readonly body: BatchBody
}

export interface ReadLanePorts {
  /** Shared by all connections. */
  readonly turns: FairTurns<ReadLane>
  /** The copy that may answer a call of such a batch; none: the call is answered «moved». */
  copyFor(call: ReadCall, kind: BatchBody['kind']): ReadableCopy | undefined
  now(): number
  send(connection: Connection, batchId: number, final: boolean, message: Uint8Array): void
  /** The client broke the protocol with this batch. */
  onProtocolError(connection: Connection, batchId: number, error: unknown): void
}

export class ReadLane {
  private readonly connection: Connection
  private readonly ports: ReadLanePorts
  private readonly share = new Share<ReadLane>()
  private readonly waiting: ReadBatch[] = []
  /** A batch is worked off, or the next one has asked for its turn. */
  private isBusy = false
  /** Goes on with the batch that is worked off. */
  private onSlice: (() => void) | undefined
  /** Of the calls of the slice that is answered. */
  private cost = 0

  constructor(connection: Connection, ports: ReadLanePorts) {
    this.connection = connection
    this.ports = ports
  }

  take(batch: ReadBatch): void {
    const isNext = !this.isBusy && this.waiting.length === 0
    if (isNext && this.connection.hasRoom && this.ports.turns.admits(this.share)) {
      this.answer(batch)
      return
    }
    this.waiting.push(batch)
    this.askForTurn()
  }

  private askForTurn(): void {
    if (this.isBusy || this.waiting.length === 0) return
    if (this.connection.isClosed) {
      this.waiting.length = 0
    } else if (this.connection.hasRoom) {
      this.isBusy = true
      this.ports.turns.ask(this.share, this)
    } else {
      this.connection.whenRoom(() => {
        this.askForTurn()
      })
    }
  }

  /** Does the piece of work that it asked for. */
  onTurn(): void {
    const { onSlice } = this
    if (onSlice !== undefined) {
      this.onSlice = undefined
      // It is done at the end of the turn, when nothing else may begin any more because of it.
      this.ports.turns.charge(this.share, SLICE_COST_MIN)
      onSlice()
      return
    }
    this.isBusy = false
    // Others of this connection may have taken up the room meanwhile.
    if (this.connection.hasRoom && !this.connection.isClosed) {
      this.answer(this.waiting.shift() as ReadBatch)
    }
    this.askForTurn()
  }

  private nextSlice(): Promise<void> {
    return new Promise((resolve) => {
      this.onSlice = resolve
      this.ports.turns.ask(this.share, this)
    })
  }

  private answer(batch: ReadBatch): void {
    try {
      if (!this.answerAtOnce(batch)) {
        this.isBusy = true
        void this.work(batch, 0)
      }
    } catch (error) {
      this.ports.onProtocolError(this.connection, batch.id, error)
    }
  }

  /** The whole batch in this turn and one message, unless it is large or needs preparation. */
  private answerAtOnce({ id, body }: ReadBatch): boolean {
    if (body.callCount > SLICE_CALLS) return false
    const reply = new Reply(id)
    const nowMs = this.ports.now()
    this.cost = 0
    for (let position = 0; position < body.callCount; position += 1) {
      const call = body.next()
      if (this.needsOrder(call as ReadCall, body.kind) || reply.bytes > PART_BYTES_SOFT) {
        const answered = Array.from({ length: position }, (_, index) => index)
        this.ports.turns.charge(this.share, this.cost + reply.bytes)
        if (position > 0) this.send(id, false, reply.part(answered, false))
        this.isBusy = true
        void this.work({ id, body }, position, call as ReadCall)
        return true
      }
      this.answerCall(call as ReadCall, body.kind, nowMs, reply)
    }
    this.ports.turns.charge(this.share, this.cost + reply.bytes)
    this.send(id, true, reply.full(body.callCount))
    return true
  }

  /** Works off a batch from `start` on, in parts and slices. */
  private async work(batch: ReadBatch, start: number, first?: ReadCall): Promise<void> {
    try {
      await this.workOff(batch, start, first)
    } catch (error) {
      this.ports.onProtocolError(this.connection, batch.id, error)
    }
    this.isBusy = false
    this.askForTurn()
  }

  private async workOff({ id, body }: ReadBatch, start: number, first?: ReadCall): Promise<void> {
    let position = start
    let call = first
    do {
      await this.untilRoom()
      if (this.connection.isClosed) return
      const reply = new Reply(id)
      const answered: number[] = []
      this.cost = 0
      let nowMs = this.ports.now()
      while (position < body.callCount && answered.length < SLICE_CALLS) {
        call ??= body.next() as ReadCall
        if (this.needsOrder(call, body.kind)) {
          await this.sort(call, body.kind)
          nowMs = this.ports.now()
        }
        this.answerCall(call, body.kind, nowMs, reply)
        call = undefined
        answered.push(position)
        position += 1
        if (reply.bytes > PART_BYTES_SOFT) break
      }
      this.ports.turns.charge(this.share, Math.max(0, this.cost + reply.bytes - SLICE_COST_MIN))
      const final = position === body.callCount
      this.send(id, final, reply.part(answered, final))
      if (!final) await this.nextSlice()
    } while (position < body.callCount)
  }

  /** Whether the call reads in key order from a copy that has unsorted keys. */
  private needsOrder(call: ReadCall, kind: BatchBody['kind']): boolean {
    if (call.type !== 'scan' && call.type !== 'count') return false
    return this.ports.copyFor(call, kind)?.sortSome() === true
  }

  private async sort(call: ReadCall, kind: BatchBody['kind']): Promise<void> {
    while (this.needsOrder(call, kind)) await this.nextSlice()
  }

  private answerCall(call: ReadCall, kind: BatchBody['kind'], nowMs: number, reply: Reply): void {
    const copy = this.ports.copyFor(call, kind)
    this.cost += call.type === 'scan' || call.type === 'count' ? RANGE_COST : CALL_COST
    if (copy === undefined) {
      writeAnswer(reply.writer, MOVED_ANSWER)
      return
    }
    const start = reply.writer.position
    try {
      copy.read(call, nowMs, reply.writer)
    } catch (error) {
      reply.writer.position = start
      writeAnswer(reply.writer, unreadable(copy.id, error))
    }
  }

  private send(batchId: number, final: boolean, message: Uint8Array): void {
    this.ports.send(this.connection, batchId, final, message)
  }

  private untilRoom(): Promise<void> | undefined {
    if (this.connection.hasRoom || this.connection.isClosed) return undefined
    return new Promise((resolve) => {
      this.connection.whenRoom(resolve)
    })
  }
}
