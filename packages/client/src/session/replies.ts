/**
 * What the node answers to batches: settles calls, or takes them back to be sent again.
 *
 * Whatever breaks the protocol throws `PROTOCOL`; the connection that carried it must then end.
 */
import type { Fault, Refused, Reply } from '@kv/protocol'
import {
  errorCodeOf,
  FORGOTTEN,
  KvError,
  MOVED,
  outcomeOf,
  protocolError,
  readFault,
  readReplyHead,
  WireReader,
} from '@kv/protocol'
import { AnswerReader } from './answers.js'
import type { Batch } from './batch.js'
import type { Batcher } from './batcher.js'
import { endedError, faultError } from './call-errors.js'
import type { Outbox } from './outbox.js'
import type { PendingCall } from './pending-call.js'
import type { Router, ShardRoute } from './router.js'
import type { Settlements } from './settlements.js'

export interface ReplyPorts {
  readonly batcher: Batcher
  readonly outbox: Outbox
  readonly router: Router
  readonly settlements: Settlements
  readonly now: () => number
  readonly random: () => number
  /** Takes back a call that is to be sent again. */
  readonly takeBack: (call: PendingCall) => void
}

export class Replies {
  private readonly ports: ReplyPorts

  constructor(ports: ReplyPorts) {
    this.ports = ports
  }

  onReply(reply: Reply): void {
    const batch = this.batchOf(reply.batchId)
    if (batch === undefined) return
    try {
      this.readAnswers(batch, reply)
    } catch (error) {
      if (error instanceof KvError) this.failRest(batch, error)
      throw error
    }
  }

  private readAnswers(batch: Batch, reply: Reply): void {
    const { calls } = batch.buffer
    const reader = new WireReader(reply.body)
    const answers = new AnswerReader(reader)
    const positions = readReplyHead(reader, calls.length)
    const count = positions === undefined ? calls.length : positions.length
    for (let index = 0; index < count; index += 1) {
      const position = positions === undefined ? index : positions[index]!
      const call = calls[position]
      if (call === undefined) throw protocolError('an answer to a call that was not in the batch')
      const fault = readFault(reader)
      if (fault === undefined) {
        this.onAnswer(batch, call, position, answers)
        continue
      }
      if (!call.isSettled) this.ports.settlements.split(call)
      this.onFault(batch, calls[position]!, fault)
    }
    reader.finish()
    if (!reply.final) return
    if (positions !== undefined && batch.buffer.open.length > 0) {
      throw protocolError('the final reply to a batch leaves calls of it unanswered')
    }
    this.complete(batch)
  }

  onRefused(refused: Refused): void {
    const batch = this.batchOf(refused.batchId)
    if (batch === undefined) return
    const { code, message } = refused
    const fault: Fault = { code, outcome: outcomeOf(refused.outcome), message }
    for (const call of this.ports.settlements.singles(batch.buffer.open)) {
      this.onFault(batch, call, fault)
    }
    this.complete(batch)
  }

  /** A late answer to a batch that was given up is nothing to complain about. */
  private batchOf(id: number): Batch | undefined {
    const { outbox } = this.ports
    if (!outbox.hasSent(id)) throw protocolError(`an answer to batch ${id}, which was never sent`)
    return outbox.inFlight.get(id)
  }

  private complete(batch: Batch): void {
    this.ports.outbox.complete(batch)
    this.ports.batcher.recycle(batch.buffer.writer)
    batch.buffer.release()
  }

  private onAnswer(batch: Batch, call: PendingCall, position: number, answers: AnswerReader): void {
    const { run } = call
    if (run !== undefined) call.index = run.take(position - run.position)
    const answer = answers.read(call, run?.keys[call.index])
    if (call.isSettled || call.place !== batch.buffer || call.index < 0) return
    if (answer instanceof KvError) this.ports.settlements.fail(call, answer)
    else if (run !== undefined && run.left > 0) call.group!.put(call.index, answer)
    else this.ports.settlements.fulfil(call, answer)
  }

  private onFault(batch: Batch, call: PendingCall, fault: Fault): void {
    if (call.isSettled || call.place !== batch.buffer) return
    const { router, settlements } = this.ports
    const route = call.route as ShardRoute
    const isMoved = fault.code === MOVED
    const isForgotten = fault.code === FORGOTTEN
    const code = isMoved || isForgotten ? 'UNAVAILABLE' : errorCodeOf(fault.code)
    const isLost = code === 'UNAVAILABLE' && !isForgotten && fault.outcome === 'unknown'
    const canRepeat = isMoved || isLost || (code === 'UNAVAILABLE' && !call.isWrite)
    if (!canRepeat || call.isAbandoned) {
      settlements.fail(call, faultError(call, code, fault))
      return
    }
    if (isLost && call.isWrite) call.isInDoubt = true
    if (batch.kind === 'replicaReads' && batch.child !== route.child) {
      this.askPrimary(call, route)
      return
    }
    this.ports.takeBack(call)
    if (isMoved) router.onMoved(route, batch.topologyVersion)
    else router.onUnavailable(route, this.ports.now(), this.ports.random)
  }

  /** What a backup refuses says nothing of the primary: other calls of the shard go on. */
  private askPrimary(call: PendingCall, route: ShardRoute): void {
    const { batcher, router } = this.ports
    call.isReplica = false
    batcher.spread.onRefused(route, this.ports.now())
    this.ports.takeBack(call)
    router.needsRefresh = true
  }

  private failRest(batch: Batch, cause: KvError): void {
    for (const call of batch.buffer.open) this.ports.settlements.fail(call, endedError(call, cause))
    this.ports.outbox.complete(batch)
  }
}
