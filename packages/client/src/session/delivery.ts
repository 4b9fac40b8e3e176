/**
 * Gets calls to the children that serve them, and their answers back.
 *
 * Here the parts meet: the router knows where a call may go, the batcher puts it there, the outbox
 * sends, replies settle or bring calls back, the alarm gives up what is due. After each event
 * `proceed` does what has become possible.
 */
import type { Call, KvError, Refused, Reply, Topology, Welcome } from '@kv/protocol'
import { BATCH_BYTES_SOFT, CALL_SPARE_BYTES, routeHash, VALUE_BYTES_MAX } from '@kv/protocol'
import type { Clock } from '../clock.js'
import { Alarm } from '../clock.js'
import { Backlog } from './backlog.js'
import type { Batch } from './batch.js'
import { Batcher } from './batcher.js'
import { CallBuffer } from './call-buffer.js'
import { lostError, timeoutError } from './call-errors.js'
import { Outbox } from './outbox.js'
import type { ReadOfMany } from './key-run.js'
import type { PendingCall } from './pending-call.js'
import { keyCall } from './pending-call.js'
import { Replies } from './replies.js'
import type { ShardRoute } from './router.js'
import { Router } from './router.js'
import { SequenceLedger } from './sequence-ledger.js'
import { Settlements } from './settlements.js'
import { WriteTracker } from './write-tracker.js'

/** No write is sent again so long after it was first sent: the node may forget it then. */
export const RESEND_MS_MAX = 300_000

export interface DeliveryLimits {
  readonly queueBytesMax: number
  readonly queueCallsMax: number
}

export interface DeliveryPorts {
  readonly clock: Clock
  readonly random: () => number
  sendBatch(child: number, bytes: Uint8Array): void
  /** Whether batches for the child may be sent, once there is a connection. */
  canReach(child: number): boolean
  /** Whether what is sent to the child goes there without the coordinator. */
  isDirect(child: number): boolean
  /** Bytes that the way to the child counts, beside what is in flight. */
  bytesBehind(child: number): number
  /** Why there is no connection, or none to that child, if that is known. */
  whyOffline(child?: number): KvError | undefined
}

export class Delivery {
  /** Largest value the node takes, in encoded bytes. */
  valueBytesMax: number = VALUE_BYTES_MAX
  readonly settlements: Settlements
  private readonly ports: DeliveryPorts
  private readonly router = new Router()
  private readonly ledger = new SequenceLedger()
  private readonly tracker = new WriteTracker()
  private readonly backlog: Backlog
  private readonly outbox: Outbox
  private readonly batcher: Batcher
  private readonly replies: Replies
  private readonly alarm: Alarm
  /** Calls that wait for the connection itself. */
  private connecting = new CallBuffer()
  private newestOrder = 0
  private isOver = false

  constructor(limits: DeliveryLimits, ports: DeliveryPorts) {
    const { router, ledger, tracker } = this
    const { clock, random } = ports
    const backlog = new Backlog(limits.queueBytesMax, limits.queueCallsMax)
    const outbox = new Outbox(ledger, ports)
    const batcher = new Batcher(router, outbox, backlog)
    const settlements = new Settlements({ router, ledger, tracker, backlog })
    this.ports = ports
    this.backlog = backlog
    this.outbox = outbox
    this.batcher = batcher
    this.settlements = settlements
    this.replies = new Replies({
      batcher,
      outbox,
      router,
      settlements,
      now: () => clock.now(),
      random,
      takeBack: (call) => {
        this.takeBack(call)
      },
    })
    this.alarm = new Alarm(clock, (now) => this.onAlarm(now))
  }

  /** Shards of the node, or `undefined` before the first topology. */
  get shardCount(): number | undefined {
    return this.router.topology?.shardCount
  }

  /** Whether the client holds as many unsent calls as it may. */
  get isFull(): boolean {
    return this.backlog.isFull
  }

  /** Takes a new call: encodes it where it will travel, behind the writes it must see. */
  add(call: PendingCall, wire: Call): void {
    if (!call.isOrdered && !call.isReplica && this.mustFollowWrites(call)) call.isOrdered = true
    this.begin(call)
    this.batcher.add(call, wire)
  }

  /** The same for one of many keys. Returns the call that stands for it, unless one did already. */
  addKey(read: ReadOfMany, index: number): PendingCall | undefined {
    const key = read.keys[index]!
    const hash = routeHash(key)
    if (!read.isReplica && this.tracker.isWriting(hash)) {
      const call = keyCall(read, key, index)
      this.add(call, { type: read.kind, key })
      return call
    }
    const call = this.batcher.addKey(read, index, hash)
    if (call !== undefined) this.begin(call)
    return call
  }

  private begin(call: PendingCall): void {
    this.newestOrder += 1
    call.order = this.newestOrder
    this.settlements.begin(call)
  }

  private mustFollowWrites(call: PendingCall): boolean {
    if (call.key !== '') return this.tracker.isWriting(call.hash)
    return this.router.routeOf(call.hash).writesUnanswered > 0
  }

  /** Takes a call that is not sent: it is answered by the first topology. */
  addTopologyWait(call: PendingCall): void {
    this.begin(call)
    this.batcher.addToLobby(call)
  }

  /** Takes a call that is not sent: it is answered by the next connection. */
  addConnectionWait(call: PendingCall): void {
    this.begin(call)
    this.connecting.add(call, this.connecting.writer.position)
    this.backlog.add(1, 0)
  }

  /** The turn is over: sends what was added. `earliestMs` is its earliest deadline. */
  flush(earliestMs: number): void {
    if (this.isOver) return
    this.alarm.setBy(earliestMs)
    this.send(this.ports.clock.now())
  }

  /** A connection is ready. */
  onConnected({ limits }: Welcome): void {
    this.valueBytesMax = limits.valueBytesMax
    const spare = limits.messageBytesMax - limits.valueBytesMax - 2 * CALL_SPARE_BYTES
    this.batcher.batchBytesSoft = Math.max(1, Math.min(BATCH_BYTES_SOFT, spare))
    this.outbox.bytesMax = limits.inFlightBytesMax
    this.outbox.isOpen = true
    for (const call of this.takeConnecting()) this.settlements.fulfil(call, undefined)
  }

  /** Returns whether the topology was a newer one. */
  onTopology(topology: Topology, isOtherCluster: boolean): boolean {
    return this.router.adopt(topology, isOtherCluster)
  }

  onReply(reply: Reply): void {
    this.replies.onReply(reply)
  }

  onRefused(refused: Refused): void {
    this.replies.onRefused(refused)
  }

  /** Every host was tried in vain: who waits for a connection hears it; other calls wait on. */
  onUnreachable(error: KvError): void {
    for (const call of this.takeConnecting()) this.settlements.fail(call, error)
  }

  private takeConnecting(): PendingCall[] {
    const calls = this.connecting.takeAll()
    this.connecting = new CallBuffer()
    return calls
  }

  /** What was in flight through the coordinator is sent again, with the sequence numbers it had. */
  onDisconnected(error: KvError): void {
    this.outbox.isOpen = false
    this.recall((child) => !this.ports.isDirect(child), error)
  }

  /**
   * From now on there is another way to the child. What went the former one is sent again, with the
   * next `proceed`; returns it.
   */
  onWayChanged(changed: number, error: KvError): readonly Batch[] {
    return this.recall((child) => child === changed, error)
  }

  private recall(isConcerned: (child: number) => boolean, error: KvError): Batch[] {
    const recalled = this.outbox.recall(isConcerned)
    for (const batch of recalled) {
      for (const call of this.settlements.singles(batch.buffer.open)) {
        if (call.isAbandoned) {
          this.settlements.fail(call, lostError(call, error))
          continue
        }
        if (call.isWrite) call.isInDoubt = true
        this.takeBack(call)
      }
    }
    this.router.needsRefresh = true
    return recalled
  }

  isAnswerDue(child: number): boolean {
    return this.outbox.hasInFlight(child)
  }

  /**
   * The node does not know this client (any more), or is another one: what was sent and not
   * answered can't be asked for again, and to send it again might execute it twice.
   */
  onIdentityLost(error: KvError): void {
    for (const buffer of this.batcher.unsentBuffers()) {
      for (const call of buffer.calls) {
        const isWaiting = !call.isSettled && call.place === buffer
        if (isWaiting && call.isInDoubt) this.settlements.fail(call, lostError(call, error))
      }
    }
  }

  /** Takes a call back that is to be sent again; a write not too long after the first time. */
  private takeBack(call: PendingCall): void {
    const latest = call.firstSentAt + RESEND_MS_MAX
    if (call.isWrite && call.deadline > latest) {
      call.deadline = latest
      this.alarm.setBy(latest)
    }
    this.batcher.takeBack(call)
  }

  /** Does what has become possible: places calls anew, sends what waited for room. */
  proceed(): void {
    if (this.isOver) return
    const { router, batcher } = this
    const now = this.ports.clock.now()
    if (router.needsRefresh) {
      const routed = batcher.rearrange(now, (calls) => this.settlements.singles(calls))
      for (const call of routed) this.settlements.fulfil(call, this.shardCount)
      this.alarm.setBy(router.nextRetryAt())
    }
    if (batcher.hasUnsent) this.send(now)
    // What was held back may be parked by now: its time has no meaning any more.
    else this.outbox.opensAtMs = Infinity
  }

  private send(now: number): void {
    this.outbox.opensAtMs = Infinity
    this.batcher.flush(now)
    this.alarm.setBy(this.outbox.opensAtMs)
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
    if (this.isOver) return Infinity
    return Math.min(next, this.router.nextRetryAt(), this.outbox.opensAtMs)
  }

  private expire(buffer: CallBuffer, now: number): number {
    return buffer.expire(now, (call) => {
      const route = call.route as ShardRoute | undefined
      this.settlements.fail(call, timeoutError(call, this.ports.whyOffline(route?.child)))
    })
  }

  /** Fails every open call and stops. */
  end(errorOf: (call: PendingCall) => KvError): void {
    this.isOver = true
    this.alarm.clear()
    this.outbox.isOpen = false
    const calls = this.outbox.recall(() => true).flatMap(({ buffer }) => buffer.open)
    for (const buffer of this.batcher.unsentBuffers()) {
      for (const call of buffer.takeAll()) calls.push(call)
    }
    for (const call of calls.concat(this.takeConnecting())) {
      this.settlements.fail(call, errorOf(call))
    }
  }
}
