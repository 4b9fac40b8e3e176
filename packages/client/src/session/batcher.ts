/**
 * Puts calls where they travel: into the open batch of their child, or into the waiting room of
 * their shard or, before the first topology is known, of the session.
 *
 * A call is encoded once, straight into that memory. All open batches go out together when the
 * turn of the event loop ends. A batch that may not go yet (no connection, window full) stays open
 * and takes the calls of the next turns too.
 */
import type { Call, ReadCall } from '@kv/protocol'
import {
  BATCH_BYTES_SOFT,
  BATCH_CALLS_MAX,
  WireWriter,
  writeReadCall,
  writeWriteCall,
} from '@kv/protocol'
import type { Backlog } from './backlog.js'
import type { BatchKind } from './batch.js'
import { Batch, batchKindOf, ChildLanes } from './batch.js'
import { CallBuffer } from './call-buffer.js'
import type { Outbox } from './outbox.js'
import type { ReadOfMany } from './key-run.js'
import { KeyRun } from './key-run.js'
import type { PendingCall } from './pending-call.js'
import { keyCall } from './pending-call.js'
import type { Router, ShardRoute } from './router.js'
import { Spread } from './spread.js'

/** Memory kept for the next batches. */
const SPARE_WRITERS_MAX = 16
const SPARE_WRITER_BYTES_MAX = 2 * BATCH_BYTES_SOFT

export class Batcher {
  /** A batch of this size takes no more calls. */
  batchBytesSoft: number = BATCH_BYTES_SOFT
  readonly spread: Spread
  private lobby = new CallBuffer()
  private lanesByChild = new Map<number, ChildLanes>()
  /** Lanes that have open batches. */
  private listed: ChildLanes[] = []
  private readonly spareWriters: WireWriter[] = []
  private readonly router: Router
  private readonly outbox: Outbox
  private readonly backlog: Backlog

  constructor(router: Router, outbox: Outbox, backlog: Backlog) {
    this.router = router
    this.outbox = outbox
    this.backlog = backlog
    this.spread = new Spread(outbox, (child) => this.lanesOf(child))
  }

  /** Encodes a new call where it belongs. */
  add(call: PendingCall, wire: Call): void {
    const buffer = this.bufferFor(call)
    const start = buffer.writer.position
    if (call.isOrdered) writeWriteCall(buffer.writer, wire)
    else writeReadCall(buffer.writer, wire as ReadCall)
    buffer.add(call, start)
    this.backlog.add(1, call.end - start)
  }

  /**
   * Encodes one of many keys that are read, whose read need not follow a write. Returns a new call that
   * stands for it, or `undefined` if that for the key before does.
   */
  addKey(read: ReadOfMany, index: number, hash: number): PendingCall | undefined {
    const key = read.keys[index]!
    const route = this.router.routes.length === 0 ? undefined : this.router.routeOf(hash)
    const buffer = route === undefined ? this.lobby : this.readBufferOf(route, read.isReplica)
    const { writer } = buffer
    const last = buffer.calls.at(-1)
    const start = writer.position
    writeReadCall(writer, { type: read.kind, key })
    this.backlog.add(1, writer.position - start)
    if (last?.run !== undefined && last.group === read.group && !last.isSettled) {
      last.run.add(index)
      buffer.extend(last)
      return undefined
    }
    const call = keyCall(read, key, index)
    call.route = route
    call.run = new KeyRun(read.keys)
    call.run.add(index)
    buffer.add(call, start)
    return call
  }

  private readBufferOf(route: ShardRoute, isReplica: boolean): CallBuffer {
    if (route.lanes === undefined) return roomOf(route)
    if (isReplica && this.spread.canSpread(route)) {
      return this.openBatch(this.spread.lanesFor(route), 'replicaReads').buffer
    }
    return this.openBatch(route.lanes, 'reads').buffer
  }

  /** Takes a call that only waits for the first topology. */
  addToLobby(call: PendingCall): void {
    this.lobby.add(call, this.lobby.writer.position)
    this.backlog.add(1, 0)
  }

  private bufferFor(call: PendingCall): CallBuffer {
    if (this.router.routes.length === 0) return this.lobby
    const route = this.router.routeOf(call.hash)
    if (call.route !== route) {
      call.route = route
      if (call.isWrite) route.writesUnanswered += 1
    }
    if (!call.isOrdered) return this.readBufferOf(route, call.isReplica)
    if (route.lanes === undefined) return roomOf(route)
    return this.openBatch(route.lanes, batchKindOf(call)).buffer
  }

  private openBatch(lanes: ChildLanes, kind: BatchKind): Batch {
    const open = kind === 'resends' ? lanes.writes : lanes[kind]
    if (open !== undefined && open.kind === kind && !this.isFull(open)) return open
    if (open !== undefined) this.outbox.waiting.push(open)
    return this.newBatch(lanes, kind)
  }

  private newBatch(lanes: ChildLanes, kind: BatchKind): Batch {
    const writer = this.spareWriters.pop() ?? new WireWriter()
    const batch = new Batch(lanes.child, kind, this.router.version, writer)
    lanes[kind === 'resends' ? 'writes' : kind] = batch
    if (!lanes.isListed) {
      lanes.isListed = true
      this.listed.push(lanes)
    }
    return batch
  }

  private isFull(batch: Batch): boolean {
    const { buffer } = batch
    return buffer.bytes >= this.batchBytesSoft || buffer.calls.length >= BATCH_CALLS_MAX
  }

  /** Sends all that may go now. */
  flush(now: number): void {
    this.spread.onTurnEnd(now)
    const { waiting } = this.outbox
    let sent = 0
    while (sent < waiting.length && this.maybeSend(waiting[sent]!, now)) sent += 1
    if (sent > 0) waiting.splice(0, sent)
    if (waiting.length > 0) return
    const lanes = this.listed
    this.listed = []
    for (const lane of lanes) {
      if (lane.reads !== undefined && this.maybeSend(lane.reads, now)) lane.reads = undefined
      if (lane.replicaReads !== undefined && this.maybeSend(lane.replicaReads, now)) {
        lane.replicaReads = undefined
      }
      if (lane.writes !== undefined && this.maybeSend(lane.writes, now)) lane.writes = undefined
      lane.isListed =
        lane.reads !== undefined || lane.replicaReads !== undefined || lane.writes !== undefined
      if (lane.isListed) this.listed.push(lane)
    }
  }

  private maybeSend(batch: Batch, now: number): boolean {
    const { buffer } = batch
    buffer.compact()
    if (buffer.calls.length === 0) {
      this.recycle(buffer.writer)
      return true
    }
    if (!this.outbox.canSend(batch, now)) return false
    this.backlog.remove(buffer.calls.length, buffer.bytes)
    this.outbox.dispatch(batch, now)
    return true
  }

  /** Whether something waits that an answer or a connection would let go. */
  get hasUnsent(): boolean {
    return this.listed.length > 0 || this.outbox.waiting.length > 0
  }

  /** The batch is answered: its memory is free. */
  recycle(writer: WireWriter): void {
    if (this.spareWriters.length >= SPARE_WRITERS_MAX) return
    if (writer.bytes.length <= SPARE_WRITER_BYTES_MAX) this.spareWriters.push(writer)
  }

  /** Takes back a call that was sent and not executed. `rearrange` sends it again when it may. */
  takeBack(call: PendingCall): void {
    const { route } = call
    if (route === undefined) return
    if (call.isWrite) route.writesInFlight -= 1
    roomOf(route as ShardRoute).adopt(call)
    this.backlog.add(1, call.end - call.start)
  }

  /**
   * Places every unsent call anew, in the order the calls were made: shards have moved, are held
   * or are free again. Afterwards a held shard has no unsent call outside of its room. Returns the
   * calls that waited only for a topology, if there is one now. `singles` splits runs of keys: those of
   * one may go different ways now.
   */
  rearrange(now: number, singles: (calls: PendingCall[]) => PendingCall[]): PendingCall[] {
    this.router.refresh(now)
    const calls: PendingCall[] = []
    for (const buffer of this.unsentBuffers()) {
      for (const call of singles(buffer.takeAll())) calls.push(call)
    }
    calls.sort((left, right) => left.order - right.order)
    this.reset()
    const routed: PendingCall[] = []
    for (const call of calls) {
      if (call.kind === 'topology' && this.router.routes.length > 0) routed.push(call)
      else this.bufferFor(call).adopt(call)
    }
    return routed
  }

  /** Forgets all unsent calls, and gives each route the lanes of its child. */
  private reset(): void {
    this.lobby = new CallBuffer()
    this.listed = []
    this.lanesByChild = new Map()
    this.outbox.waiting = []
    this.router.strayRooms = []
    for (const route of this.router.routes) {
      route.room = undefined
      route.copies = undefined
      route.spreadTurn = -1
      route.lanes = route.isHeld ? undefined : this.lanesOf(route.child)
    }
  }

  private lanesOf(child: number): ChildLanes {
    let lanes = this.lanesByChild.get(child)
    if (lanes === undefined) {
      lanes = new ChildLanes(child)
      this.lanesByChild.set(child, lanes)
    }
    return lanes
  }

  /** All memory with calls that were not sent. */
  *unsentBuffers(): Generator<CallBuffer> {
    yield this.lobby
    for (const batch of this.outbox.waiting) yield batch.buffer
    for (const lanes of this.lanesByChild.values()) {
      if (lanes.reads !== undefined) yield lanes.reads.buffer
      if (lanes.replicaReads !== undefined) yield lanes.replicaReads.buffer
      if (lanes.writes !== undefined) yield lanes.writes.buffer
    }
    yield* this.router.strayRooms
    for (const { room } of this.router.routes) if (room !== undefined) yield room
  }
}

function roomOf(route: ShardRoute): CallBuffer {
  route.room ??= new CallBuffer()
  return route.room
}
