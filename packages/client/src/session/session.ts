/**
 * Takes calls and carries them through connections, reconnects and moves of shards until each is
 * answered, or its time is over.
 *
 * What holds for every call: it settles by its deadline; calls of one turn travel together; one
 * client's writes to one shard take effect in call order; a read sees the writes made before it;
 * what is not sent is bounded; a write takes effect once, however often it is sent.
 */
import type { Call, NodeMessage, Topology, Welcome } from '@kv/protocol'
import { KvError } from '@kv/protocol'
import { watchAbort } from '../abort-watch.js'
import type { Clock } from '../clock.js'
import type {
  ConnectionEvents,
  ConnectionSettings,
  ConnectionSurroundings,
} from '../connection/connection.js'
import { Connection } from '../connection/connection.js'
import type { DirectLinkPorts } from '../connection/direct-link.js'
import type { SentBatch } from '../connection/left-behind.js'
import type { DirectWays, OpenDirectWays } from '../connection/direct-links.js'
import { Emitter } from '../events.js'
import type { KnownCall } from './call-errors.js'
import { closedError, endedError, overloadedError, timeoutError } from './call-errors.js'
import type { DeliveryLimits, DeliveryPorts } from './delivery.js'
import { Delivery } from './delivery.js'
import type { ReadOfMany } from './key-run.js'
import { PendingCall } from './pending-call.js'
import type { HubPorts } from '../watch/watch-hub.js'
import { WatchHub } from '../watch/watch-hub.js'

export interface SessionSettings extends ConnectionSettings, DeliveryLimits {
  /** How long a call waits for its answer unless it says otherwise. */
  readonly timeoutMs: number
}

export interface SessionSurroundings extends ConnectionSurroundings {
  /** How children are reached without the coordinator; absent: they are not. */
  readonly openDirectWays?: OpenDirectWays | undefined
}

export type SessionStatus = 'idle' | 'connecting' | 'ready' | 'reconnecting' | 'closed'

export class Session implements ConnectionEvents, DeliveryPorts, HubPorts, DirectLinkPorts {
  readonly events: Emitter = new Emitter()
  readonly watches: WatchHub
  private readonly settings: SessionSettings
  private readonly surroundings: SessionSurroundings
  private readonly delivery: Delivery
  private readonly connection: Connection
  private readonly direct: DirectWays | undefined
  private clusterId: string | undefined = undefined
  private clientId = 0
  private isFlushScheduled = false
  private turnMs = 0
  private turnEarliestMs = Infinity
  /** Why no more calls are taken, if none are. */
  private refusal: KvError | undefined = undefined
  private isOver = false
  private closing: Promise<void> | undefined = undefined
  /** Why there is no connection. */
  private offlineError: KvError | undefined = undefined

  constructor(settings: SessionSettings, surroundings: SessionSurroundings) {
    this.settings = settings
    this.surroundings = surroundings
    this.delivery = new Delivery(settings, this)
    this.watches = new WatchHub(this)
    this.connection = new Connection(settings, surroundings, this)
    this.direct = surroundings.openDirectWays?.(this)
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

  send(bytes: Uint8Array): void {
    this.connection.send(bytes)
  }

  sendBatch(child: number, bytes: Uint8Array): void {
    if (this.direct?.send(child, bytes) !== true) this.connection.send(bytes)
  }

  canReach(child: number): boolean {
    return this.direct?.isAwaited(child) !== true
  }

  isDirect(child: number): boolean {
    return this.direct?.isReady(child) === true
  }

  bytesBehind(child: number): number {
    return this.direct?.bytesBehind(child) ?? 0
  }

  onWayChanged(child: number, error: KvError): readonly SentBatch[] {
    return this.delivery.onWayChanged(child, error)
  }

  proceed(): void {
    this.delivery.proceed()
  }

  /** Opens the connection, if it is not. */
  open(): void {
    this.connection.open()
  }

  whyOffline(child?: number): KvError | undefined {
    return this.offlineError ?? this.direct?.whyAwaited(child)
  }

  /** Of a child, or at all. */
  isAnswerDue(child?: number): boolean {
    if (child !== undefined) return this.delivery.isAnswerDue(child)
    return this.delivery.settlements.openCount > 0 || this.watches.isWatching
  }

  /** Shards of the node, or `undefined` before the first connection. */
  get shardCount(): number | undefined {
    return this.delivery.shardCount
  }

  /** Largest value the node takes, in encoded bytes. */
  get valueBytesMax(): number {
    return this.delivery.valueBytesMax
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
    this.admit(call)
    this.delivery.add(call, wire)
    this.scheduleFlush(call.deadline)
  }

  /**
   * Reads one of many keys. Returns the call that stands for it, unless the one for the key before
   * does: then it is settled with that.
   */
  submitKey(read: ReadOfMany, index: number): PendingCall | undefined {
    this.admit(read)
    const call = this.delivery.addKey(read, index)
    this.scheduleFlush(read.deadline)
    return call
  }

  private admit(call: KnownCall): void {
    if (this.refusal !== undefined) {
      const { code, message } = this.refusal
      throw new KvError(code, message, { outcome: 'not-applied', cause: this.refusal })
    }
    if (this.delivery.isFull) throw overloadedError()
    if (call.deadline <= this.deadlineIn(0)) throw timeoutError(call, this.offlineError)
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
    const earliestMs = this.turnEarliestMs
    this.isFlushScheduled = false
    this.turnEarliestMs = Infinity
    this.connection.open()
    this.delivery.flush(earliestMs)
  }

  private listen(call: PendingCall, signal: AbortSignal): void {
    call.stopListening = watchAbort(signal, () => {
      this.delivery.settlements.abort(call, signal.reason)
    })
  }

  /** Drops a call of a group that was aborted: it is not sent any more, or its answer is unheard. */
  cancel(call: PendingCall): void {
    for (const part of call.run?.parts ?? []) this.cancel(part)
    if (!call.isSettled) this.delivery.settlements.abort(call, undefined)
  }

  /** Resolves with the number of shards once a topology is known. */
  waitForTopology(deadline: number, signal: AbortSignal | undefined): Promise<unknown> {
    return this.wait(deadline, signal, (call) => {
      this.delivery.addTopologyWait(call)
    })
  }

  /** Resolves once the connection is ready; rejects as soon as every host was tried in vain. */
  async connect(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.status === 'ready') return
    await this.wait(deadline, signal, (call) => {
      this.delivery.addConnectionWait(call)
    })
  }

  private wait(
    deadline: number,
    signal: AbortSignal | undefined,
    add: (call: PendingCall) => void,
  ): Promise<unknown> {
    signal?.throwIfAborted()
    const call = new PendingCall('topology', '', 0, deadline)
    this.admit(call)
    const promise = call.promise()
    add(call)
    this.scheduleFlush(deadline)
    if (signal !== undefined) this.listen(call, signal)
    return promise
  }

  onReady(welcome: Welcome): void {
    const isOtherCluster = this.clusterId !== undefined && this.clusterId !== welcome.clusterId
    const { url, identity } = this.connection
    // First, because what direct connections of another identity leave unanswered is in doubt, too.
    this.direct?.onWelcome({ url, clusterId: welcome.clusterId, identity })
    if (this.clientId !== 0 && (isOtherCluster || this.clientId !== welcome.clientId)) {
      this.delivery.onIdentityLost(
        new KvError('UNAVAILABLE', 'the node does not know this client from before'),
      )
    }
    this.adopt(welcome.topology, isOtherCluster)
    this.clusterId = welcome.clusterId
    this.clientId = welcome.clientId
    this.offlineError = undefined
    this.delivery.onConnected(welcome)
    this.delivery.proceed()
    this.watches.onConnected(welcome.clusterId, welcome.topology)
    this.events.emit('ready', undefined)
  }

  private adopt(topology: Topology, isOtherCluster: boolean): void {
    if (!this.delivery.onTopology(topology, isOtherCluster)) return
    this.direct?.onTopology(topology)
    this.watches.onTopology(topology)
    this.events.emit('topology', topology)
  }

  onMessage(message: NodeMessage): void {
    this.direct?.onMessage(message)
    switch (message.type) {
      case 'reply':
        this.delivery.onReply(message)
        break
      case 'refused':
        this.delivery.onRefused(message)
        break
      case 'topology':
        this.adopt(message.topology, false)
        break
      case 'event':
        this.watches.onEvents(message)
        return
      case 'unwatched':
        this.watches.onUnwatched(message)
        return
      case 'welcome':
      case 'pong':
      case 'failure':
        // The connection's affair: they do not come here.
        break
    }
    this.delivery.proceed()
  }

  onLost(error: KvError): void {
    this.offlineError = error
    this.delivery.onDisconnected(error)
    this.delivery.proceed()
    this.watches.onDisconnected()
    if (error.code === 'PROTOCOL') this.events.emit('error', error)
  }

  onUnreachable(error: KvError): void {
    this.offlineError = error
    this.delivery.onUnreachable(error)
  }

  onWaiting(attempt: number, delayMs: number, error: KvError): void {
    this.events.emit('reconnecting', { attempt, delayMs, error })
  }

  onEnded(error: KvError): void {
    this.refusal = error
    this.finish((call) => endedError(call, error), error)
    this.events.emit('error', error)
    this.events.emit('end', { error })
  }

  /** Takes no more calls, lets the open ones end, at most for the usual timeout, then ends. */
  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async closeOnce(): Promise<void> {
    if (this.isOver) return
    const refusal = new KvError('CLOSED', 'the client is closed: create another one', {
      outcome: 'not-applied',
    })
    this.refusal = refusal
    await this.allSettled()
    // It may have ended for another reason meanwhile.
    if (this.isOver) return
    this.finish(closedError, refusal)
    this.events.emit('end', { error: undefined })
  }

  private allSettled(): Promise<void> {
    const { settlements } = this.delivery
    if (settlements.openCount === 0) return Promise.resolve()
    const { clock } = this.surroundings
    return new Promise((resolve) => {
      const timer = clock.setTimer(resolve, this.settings.timeoutMs)
      settlements.onAllSettled = () => {
        clock.clearTimer(timer)
        resolve()
      }
    })
  }

  private finish(errorOf: (call: PendingCall) => KvError, reason: KvError): void {
    this.isOver = true
    this.connection.end()
    this.direct?.end()
    this.delivery.end(errorOf)
    this.watches.end(reason)
  }
}
