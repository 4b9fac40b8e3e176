/**
 * Carries calls through connections, reconnects and moves of shards until each is answered, or its
 * time is over.
 *
 * What holds for every call: it settles by its deadline; calls of one turn travel together; one
 * client's writes to one shard take effect in call order; a read sees the writes made before it;
 * what is not sent is bounded. What it does not do: send a write again that may have been executed.
 */
import type { Call, NodeMessage, Topology, Welcome } from '@kv/protocol'
import { BATCH_BYTES_SOFT, KvError, VALUE_BYTES_MAX } from '@kv/protocol'
import { watchAbort } from '../abort-watch.js'
import type { Clock } from '../clock.js'
import { Alarm } from '../clock.js'
import type { ConnectionSettings, ConnectionSurroundings } from '../connection/connection.js'
import { Connection } from '../connection/connection.js'
import { Emitter } from '../events.js'
import { Backlog } from './backlog.js'
import { Batcher } from './batcher.js'
import { CallBuffer } from './call-buffer.js'
import { closedError, endedError, lostError, overloadedError, timeoutError } from './call-errors.js'
import { Outbox } from './outbox.js'
import { PendingCall } from './pending-call.js'
import { Replies, restOf } from './replies.js'
import { Router } from './router.js'
import { SequenceLedger } from './sequence-ledger.js'
import { Settlements } from './settlements.js'
import { WriteTracker } from './write-tracker.js'

/** Room in a message for the envelope, and the key and options of a call beside its value. */
const CALL_BYTES_SPARE = 8_192

export interface SessionSettings extends ConnectionSettings {
  /** How long a call waits for its answer unless it says otherwise. */
  readonly timeoutMs: number
  readonly queueBytesMax: number
  readonly queueCallsMax: number
}

export type SessionStatus = 'idle' | 'connecting' | 'ready' | 'reconnecting' | 'closed'

export class Session {
  readonly events: Emitter = new Emitter()
  /** Largest value the node takes, in encoded bytes. */
  valueBytesMax: number = VALUE_BYTES_MAX
  private readonly settings: SessionSettings
  private readonly surroundings: ConnectionSurroundings
  private readonly router = new Router()
  private readonly ledger = new SequenceLedger()
  private readonly tracker = new WriteTracker()
  private readonly backlog: Backlog
  private readonly outbox: Outbox
  private readonly batcher: Batcher
  private readonly settlements: Settlements
  private readonly replies: Replies
  private readonly connection: Connection
  private readonly alarm: Alarm
  /** Calls of `connect()`. */
  private connecting = new CallBuffer()
  private clusterId: string | undefined = undefined
  private newestOrder = 0
  private isFlushScheduled = false
  private turnMs = 0
  private turnEarliestMs = Infinity
  /** Why no more calls are taken, if none are. */
  private refusal: KvError | undefined = undefined
  private isOver = false
  private closing: Promise<void> | undefined = undefined
  /** Why there is no connection. */
  private lastError: KvError | undefined = undefined

  constructor(settings: SessionSettings, surroundings: ConnectionSurroundings) {
    const { router, ledger, tracker } = this
    this.settings = settings
    this.surroundings = surroundings
    this.backlog = new Backlog(settings.queueBytesMax, settings.queueCallsMax)
    this.outbox = new Outbox(ledger, (bytes) => {
      this.connection.send(bytes)
    })
    this.batcher = new Batcher(router, this.outbox, this.backlog)
    this.settlements = new Settlements({ router, ledger, tracker, backlog: this.backlog })
    this.replies = new Replies({
      batcher: this.batcher,
      outbox: this.outbox,
      router,
      settlements: this.settlements,
      now: () => surroundings.clock.now(),
      random: surroundings.random,
    })
    this.alarm = new Alarm(surroundings.clock, (now) => this.onAlarm(now))
    this.connection = new Connection(settings, surroundings, {
      onReady: (welcome) => {
        this.onReady(welcome)
      },
      onMessage: (message) => {
        this.onMessage(message)
      },
      onLost: (error) => {
        this.onLost(error)
      },
      onUnreachable: (error) => {
        this.lastError = error
        this.endConnecting((call) => {
          this.settlements.fail(call, error)
        })
      },
      onWaiting: (attempt, delayMs, error) => {
        this.events.emit('reconnecting', { attempt, delayMs, error })
      },
      onEnded: (error) => {
        this.onEnded(error)
      },
      isAnswerDue: () => this.settlements.openCount > 0,
    })
  }

  get status(): SessionStatus {
    if (this.refusal !== undefined) return 'closed'
    const { state, wasEverReady } = this.connection
    if (state === 'idle' || state === 'ready') return state
    return wasEverReady ? 'reconnecting' : 'connecting'
  }

  get clock(): Clock {
    return this.surroundings.clock
  }

  get random(): () => number {
    return this.surroundings.random
  }

  /** Shards of the node, or `undefined` before the first connection. */
  get shardCount(): number | undefined {
    return this.router.topology?.shardCount
  }

  /** When a call made now is given up. Calls of one turn of the event loop share their `now`. */
  deadlineIn(timeoutMs: number = this.settings.timeoutMs): number {
    if (!this.isFlushScheduled) this.turnMs = this.surroundings.clock.now()
    return this.turnMs + timeoutMs
  }

  /** Makes a call with a promise of its own. Throws what refuses it before it is under way. */
  call(call: PendingCall, wire: Call, signal: AbortSignal | undefined): Promise<unknown> {
    signal?.throwIfAborted()
    const promise = call.promise()
    this.submit(call, wire)
    if (signal !== undefined) this.listen(call, signal)
    return promise
  }

  /** Makes a call whose result goes where it says. */
  submit(call: PendingCall, wire: Call): void {
    this.assertOpen()
    if (call.deadline <= this.deadlineIn(0)) throw timeoutError(call, this.lastError)
    if (!call.isOrdered && this.mustFollowWrites(call)) call.isOrdered = true
    this.settlements.begin(call)
    this.newestOrder += 1
    call.order = this.newestOrder
    this.batcher.add(call, wire)
    this.scheduleFlush(call.deadline)
  }

  private mustFollowWrites(call: PendingCall): boolean {
    if (call.key !== '') return this.tracker.isWriting(call.hash)
    return this.router.routeOf(call.hash).writesUnanswered > 0
  }

  private assertOpen(): void {
    if (this.refusal !== undefined) {
      const { code, message } = this.refusal
      throw new KvError(code, message, { outcome: 'not-applied', cause: this.refusal })
    }
    if (this.backlog.isFull) throw overloadedError()
  }

  private scheduleFlush(deadline: number): void {
    if (deadline < this.turnEarliestMs) this.turnEarliestMs = deadline
    if (this.isFlushScheduled) return
    this.isFlushScheduled = true
    queueMicrotask(() => {
      this.onTurnEnd()
    })
  }

  private onTurnEnd(): void {
    this.isFlushScheduled = false
    if (this.isOver) return
    this.connection.open()
    this.alarm.setBy(this.turnEarliestMs)
    this.turnEarliestMs = Infinity
    this.batcher.flush(this.surroundings.clock.now())
  }

  private listen(call: PendingCall, signal: AbortSignal): void {
    call.stopListening = watchAbort(signal, () => {
      this.settlements.abort(call, signal.reason)
    })
  }

  /** Drops a call of a group that was aborted: it is not sent any more, or its answer is unheard. */
  cancel(call: PendingCall): void {
    if (!call.isSettled) this.settlements.abort(call, undefined)
  }

  /** Resolves with the number of shards once a topology is known. */
  waitForTopology(deadline: number, signal: AbortSignal | undefined): Promise<unknown> {
    return this.wait(deadline, signal, (call) => {
      this.batcher.addToLobby(call)
    })
  }

  /** Resolves once the connection is ready; rejects as soon as every host was tried in vain. */
  async connect(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.status === 'ready') return
    await this.wait(deadline, signal, (call) => {
      this.connecting.add(call, this.connecting.writer.position)
      this.backlog.add(1, 0)
    })
  }

  private wait(
    deadline: number,
    signal: AbortSignal | undefined,
    add: (call: PendingCall) => void,
  ): Promise<unknown> {
    signal?.throwIfAborted()
    this.assertOpen()
    const call = new PendingCall('topology', '', 0, deadline)
    const promise = call.promise()
    this.settlements.begin(call)
    add(call)
    this.scheduleFlush(deadline)
    if (signal !== undefined) this.listen(call, signal)
    return promise
  }

  private endConnecting(end: (call: PendingCall) => void): void {
    const calls = this.connecting.takeAll()
    this.connecting = new CallBuffer()
    for (const call of calls) end(call)
  }

  private onReady({ limits, clusterId, topology }: Welcome): void {
    const isOtherCluster = this.clusterId !== undefined && this.clusterId !== clusterId
    this.clusterId = clusterId
    this.valueBytesMax = limits.valueBytesMax
    const spare = limits.messageBytesMax - limits.valueBytesMax - CALL_BYTES_SPARE
    this.batcher.batchBytesSoft = Math.max(1, Math.min(BATCH_BYTES_SOFT, spare))
    this.outbox.bytesMax = limits.inFlightBytesMax
    this.outbox.isOpen = true
    this.lastError = undefined
    this.adopt(topology, isOtherCluster)
    this.endConnecting((call) => {
      this.settlements.fulfil(call, undefined)
    })
    this.proceed()
    this.events.emit('ready', undefined)
  }

  private adopt(topology: Topology, isOtherCluster: boolean): void {
    if (this.router.adopt(topology, isOtherCluster)) this.events.emit('topology', topology)
  }

  private onMessage(message: NodeMessage): void {
    switch (message.type) {
      case 'reply':
        this.replies.onReply(message)
        break
      case 'refused':
        this.replies.onRefused(message)
        break
      case 'topology':
        this.adopt(message.topology, false)
        break
      case 'welcome':
      case 'pong':
      case 'failure':
        // The connection's affair: they do not come here.
        break
    }
    this.proceed()
  }

  /** Does what has become possible: places calls anew, sends what waited for room. */
  private proceed(): void {
    if (this.isOver) return
    const { router, batcher } = this
    if (router.needsRefresh) {
      const routed = batcher.rearrange(this.surroundings.clock.now())
      for (const call of routed) this.settlements.fulfil(call, this.shardCount)
      this.alarm.setBy(router.nextRetryAt())
    }
    if (batcher.hasUnsent && !this.isFlushScheduled) batcher.flush(this.surroundings.clock.now())
  }

  private onLost(error: KvError): void {
    this.lastError = error
    for (const batch of this.outbox.close()) {
      for (const call of restOf(batch)) {
        if (call.isWrite || call.isAbandoned) this.settlements.fail(call, lostError(call, error))
        else this.batcher.takeBack(call)
      }
    }
    this.router.needsRefresh = true
    this.proceed()
    if (error.code === 'PROTOCOL') this.events.emit('error', error)
  }

  private onEnded(error: KvError): void {
    this.refusal = error
    this.finish((call) => endedError(call, error))
    this.events.emit('error', error)
    this.events.emit('end', { error })
  }

  /** Gives up what is due. Returns when something else may be. */
  private onAlarm(now: number): number {
    let next = this.expire(this.connecting, now)
    for (const batch of this.outbox.inFlight.values()) {
      const earliest = this.expire(batch.buffer, now)
      // Nobody waits for it any more: a late answer is dropped.
      if (earliest === Infinity) this.outbox.complete(batch)
      next = Math.min(next, earliest)
    }
    for (const buffer of this.batcher.unsentBuffers()) {
      next = Math.min(next, this.expire(buffer, now))
      buffer.maybeCompact()
    }
    if (this.router.nextRetryAt() <= now) this.router.needsRefresh = true
    this.proceed()
    return this.isOver ? Infinity : Math.min(next, this.router.nextRetryAt())
  }

  private expire(buffer: CallBuffer, now: number): number {
    return buffer.expire(now, (call) => {
      this.settlements.fail(call, timeoutError(call, this.lastError))
    })
  }

  /** Takes no more calls, lets the open ones end, at most for the usual timeout, then ends. */
  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async closeOnce(): Promise<void> {
    if (this.isOver) return
    this.refusal = new KvError('CLOSED', 'the client is closed: create another one', {
      outcome: 'not-applied',
    })
    await this.allSettled()
    // It may have ended for another reason meanwhile.
    if (this.isOver) return
    this.finish(closedError)
    this.events.emit('end', { error: undefined })
  }

  private allSettled(): Promise<void> {
    if (this.settlements.openCount === 0) return Promise.resolve()
    const { clock } = this.surroundings
    return new Promise((resolve) => {
      const timer = clock.setTimer(resolve, this.settings.timeoutMs)
      this.settlements.onAllSettled = () => {
        clock.clearTimer(timer)
        resolve()
      }
    })
  }

  private finish(errorOf: (call: PendingCall) => KvError): void {
    this.isOver = true
    this.alarm.clear()
    this.connection.end()
    const calls = this.outbox.close().flatMap(restOf)
    for (const buffer of this.batcher.unsentBuffers()) {
      for (const call of buffer.takeAll()) calls.push(call)
    }
    for (const call of calls.concat(this.connecting.takeAll()))
      this.settlements.fail(call, errorOf(call))
  }
}
