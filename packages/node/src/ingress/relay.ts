/**
 * Between clients and children: knows who is connected and which batch waits for which child.
 *
 * A batch's envelope is decoded, its body never. Each is handed to the child it names and stays
 * pending until the final reply; replies arrive as finished messages and go out as they are. What
 * can't be handed over is refused at once, `not-applied`: `MOVED` if the child is not there,
 * `OVERLOADED` over a budget. What a dead child leaves unanswered is refused as `UNAVAILABLE`, and
 * whether its writes took effect is unknown.
 *
 * This is the hot path: nothing here waits, and nothing is allocated per batch but its entry.
 */
import type {
  Batch,
  ClientMessage,
  Credit,
  Hello,
  NodeLimits,
  Topology,
  Unwatch,
  Watch,
} from '@kv/protocol'
import {
  CLOSE_CODES,
  ERROR_RULES,
  HELLO_BYTES_MAX,
  KvError,
  MOVED,
  OUTCOMES,
  PROTOCOL_VERSION,
  decodeClientMessage,
  encodeMessage,
} from '@kv/protocol'
import type { LinkEvent, LinkReply } from '../link/data-link.js'
import { BATCH_OVERHEAD_BYTES, Connection } from './connection.js'
import { Corks } from './corks.js'
import type { Greeter } from './greeting.js'
import type { JoinChild } from './lane.js'
import { Lane } from './lane.js'
import type { PressureLimits } from './pressure.js'
import { Pressure } from './pressure.js'
import { PACE_MESSAGES_MAX, ReadingPace } from './reading-pace.js'
import { isFailure, protocolFailure, refuse } from './verdicts.js'
import type { ClientListener, ClientSocket } from './websocket.js'

/** Bytes of batches one child may have unanswered, all connections. */
export const LANE_BYTES_MAX: number = 64 * 1_048_576

/**
 * A connection may have so many times as much unanswered as there is room at the child: the more there are
 * that want all of it the less each gets, and there is always some left for who comes with little.
 */
const LANE_SHARE = 4

/**
 * Who has so much unanswered when more is refused is held back: as if it had sent so many messages, as many as
 * it may at once. To read what is refused costs as much as to read what is taken.
 */
const REFUSED_BYTES_MIN = 1_048_576
const REFUSED_MESSAGES = PACE_MESSAGES_MAX

/** Connections that have not said HELLO. */
export const GREETINGS_MAX = 1_024

/** Batches one connection may have unanswered, however small they are. */
export const BATCHES_IN_FLIGHT_MAX = 16_384

/** How long a client may take to say HELLO. */
export const HELLO_MS_MAX = 5_000

const PING_INTERVAL_MS = 15_000

const NOT_APPLIED = OUTCOMES.indexOf('not-applied')
const UNKNOWN = OUTCOMES.indexOf('unknown')

export interface RelaySettings {
  readonly clusterId: string
  readonly limits: NodeLimits
  readonly connectionsMax: number
  readonly laneBytesMax: number
  readonly pressure?: PressureLimits
  readonly greeter: Greeter
  /** Monotonic. */
  readonly now: () => number
  /** Something is wrong here, not with a client. */
  readonly onError: (error: unknown) => void
}

export class Relay {
  private readonly settings: RelaySettings
  private readonly connections = new Map<number, Connection>()
  /** Ready connections by client id: an identity has one connection at a time. */
  private readonly byClient = new Map<number, Connection>()
  /** By child: the lane of its present process. */
  private readonly lanes = new Map<number, Lane>()
  private readonly pressure: Pressure
  private readonly pace = new ReadingPace({
    handle: (connection, bytes) => this.take(connection, bytes),
    onReleased: (connection) => this.pressure.onWhole(connection),
  })
  /** Connections that have not said HELLO. */
  private greetings = 0
  private readonly corks = new Corks()
  private topology: Topology
  private lastNumber = 0
  private isDraining = false

  constructor(settings: RelaySettings, topology: Topology) {
    this.settings = settings
    this.pressure = new Pressure(settings.pressure)
    this.topology = topology
  }

  get connectionCount(): number {
    return this.connections.size
  }

  get pendingBatches(): number {
    let pending = 0
    for (const connection of this.connections.values()) pending += connection.pending.size
    return pending
  }

  /** Whether one more connection may come in. */
  get hasRoom(): boolean {
    const { connectionsMax } = this.settings
    const isFull = this.connections.size >= connectionsMax || this.greetings >= GREETINGS_MAX
    return !this.isDraining && !isFull
  }

  /** A new client. */
  accept(socket: ClientSocket): ClientListener {
    const connection = new Connection(this.nextNumber(), socket, this.settings.now())
    this.connections.set(connection.number, connection)
    this.greetings += 1
    connection.onBacklog = (bytes) => this.pressure.onBacklog(connection, bytes)
    return {
      onMessage: (bytes) => this.onMessage(connection, bytes),
      onPart: (bytes) => this.pressure.onPart(connection, bytes, this.settings.now()),
      onPing: (payload) => this.onPing(connection, payload),
      onText: () => protocolFailure(connection, 'messages are binary'),
      onPong: () => {
        connection.unansweredPings = 0
      },
      onDrain: () => this.onDrain(connection),
      onClose: () => this.onClose(connection),
    }
  }

  /** A new process of the child. Batches go there once the lane is open. */
  addLane(child: number, join: JoinChild, onEnd: (error: Error | undefined) => void): Lane {
    const lane = new Lane(child, join, {
      onReply: (from, reply) => this.onReply(from, reply),
      onEvent: (from, event) => this.onEvent(from, event),
      onChunkEnd: () => this.corks.uncork(),
      onEnd: (from, error) => {
        this.onLaneEnd(from)
        onEnd(error)
      },
    })
    this.lanes.set(child, lane)
    return lane
  }

  /** Tells every client; encoded once. */
  publish(topology: Topology): void {
    this.topology = topology
    const message = encodeMessage({ type: 'topology', topology })
    for (const connection of this.byClient.values()) connection.send(message)
  }

  /** Looks after time-outs; to be called about once a second. */
  sweep(): void {
    const nowMs = this.settings.now()
    this.pressure.sweep(nowMs)
    for (const connection of this.connections.values()) {
      const waitedMs = nowMs - connection.sinceMs
      if (connection.phase === 'greeting' && waitedMs >= HELLO_MS_MAX) {
        connection.fail('PROTOCOL', CLOSE_CODES.policy, 'no HELLO in time')
      } else if (connection.phase === 'ready' && waitedMs >= PING_INTERVAL_MS) {
        connection.ping(nowMs)
      }
    }
  }

  /** From now on nobody comes in and nothing more is read; what is pending is still answered. */
  drain(): void {
    this.isDraining = true
    for (const connection of this.connections.values()) connection.pause()
  }

  closeAll(code: number, reason: string): void {
    for (const connection of this.connections.values()) connection.close(code, reason)
  }

  terminateAll(): void {
    for (const connection of this.connections.values()) connection.socket.terminate()
  }

  private nextNumber(): number {
    // Numbers have 32 bits on the data socket; one may come round while its owner still lives.
    do this.lastNumber = (this.lastNumber % 0xffff_ffff) + 1
    while (this.connections.has(this.lastNumber))
    return this.lastNumber
  }

  private onPing(connection: Connection, payload: Uint8Array): void {
    if (!connection.isHeld) this.pressure.onWhole(connection)
    this.pace.charge(connection, 1)
    this.corks.corkForTurn(connection)
    connection.pong(payload)
  }

  private onMessage(connection: Connection, bytes: Uint8Array): void {
    if (this.pace.admits(connection, bytes)) {
      this.pressure.onWhole(connection)
      this.take(connection, bytes)
    } else {
      const waiting = bytes.length + BATCH_OVERHEAD_BYTES
      this.pressure.onPart(connection, waiting, this.settings.now())
    }
  }

  private take(connection: Connection, bytes: Uint8Array): void {
    if (connection.phase !== 'ready' && connection.phase !== 'greeting') return
    if (connection.unpacedMessages > 1) this.corks.corkForTurn(connection)
    try {
      if (connection.phase === 'greeting' && bytes.length > HELLO_BYTES_MAX) {
        connection.fail('PROTOCOL', CLOSE_CODES.tooLarge, 'too much before HELLO')
      } else this.handle(connection, decodeClientMessage(bytes))
    } catch (error) {
      if (!(error instanceof KvError)) this.settings.onError(error)
      protocolFailure(connection, error instanceof KvError ? error.message : 'not understood')
    }
  }

  private handle(connection: Connection, message: ClientMessage): void {
    if (message.type === 'hello') {
      if (connection.phase === 'greeting') this.onHello(connection, message)
      else protocolFailure(connection, 'HELLO was said before')
    } else if (connection.phase === 'greeting') {
      protocolFailure(connection, 'HELLO comes first')
    } else if (message.type === 'batch') this.onBatch(connection, message)
    else if (message.type === 'ping') connection.say({ type: 'pong', nonce: message.nonce })
    else this.onWatching(connection, message)
  }

  private onHello(connection: Connection, hello: Hello): void {
    const greeting = this.settings.greeter.judge(hello)
    if (greeting.type === 'refused') {
      connection.fail(greeting.code, greeting.closeCode, greeting.message)
      return
    }
    const { clientId, secret } = greeting.identity
    this.supersede(clientId)
    this.greetings -= 1
    connection.becomeReady(clientId, this.settings.now())
    this.byClient.set(clientId, connection)
    const { clusterId, limits } = this.settings
    connection.say({
      type: 'welcome',
      protocolVersion: PROTOCOL_VERSION,
      clusterId,
      clientId,
      secret,
      limits,
      topology: this.topology,
    })
  }

  /** The same client has come back: what is left of its former connection is over. */
  private supersede(clientId: number): void {
    const former = this.byClient.get(clientId)
    if (former === undefined) return
    this.forget(former)
    former.close(CLOSE_CODES.policy, 'the client has connected again')
    former.socket.terminate()
  }

  private onBatch(connection: Connection, batch: Batch): void {
    const lane = this.lanes.get(batch.child)
    if (lane === undefined || !lane.isOpen || this.isDraining) {
      refuse(connection, batch.id, MOVED, NOT_APPLIED, `child ${batch.child} is not there`)
      return
    }
    const bytes = batch.body.length
    if (!this.hasRoomFor(connection, lane, bytes)) {
      const { wire } = ERROR_RULES.OVERLOADED
      refuse(connection, batch.id, wire, NOT_APPLIED, 'too much is in flight')
      // It goes on although it has a lot under way: it is to wait a little before it is read again.
      if (connection.inFlightBytes >= REFUSED_BYTES_MIN)
        this.pace.charge(connection, REFUSED_MESSAGES)
      return
    }
    if (connection.pending.has(batch.id)) {
      protocolFailure(connection, `batch ${batch.id} is still unanswered`)
      return
    }
    connection.addPending(batch.id, { lane, bytes })
    lane.forward(connection, batch)
  }

  private hasRoomFor(connection: Connection, lane: Lane, bytes: number): boolean {
    const room = this.settings.laneBytesMax - lane.inFlightBytes
    const inFlightBytes = connection.inFlightBytes + bytes
    return (
      inFlightBytes <= this.settings.limits.inFlightBytesMax &&
      connection.pending.size < BATCHES_IN_FLIGHT_MAX &&
      bytes + BATCH_OVERHEAD_BYTES <= room &&
      inFlightBytes <= LANE_SHARE * room
    )
  }

  /** Who watches where is the child's affair. What it can't hear of ends here: `unwatched`. */
  private onWatching(connection: Connection, message: Watch | Credit | Unwatch): void {
    const lane = this.lanes.get(message.child)
    if (lane === undefined || !lane.isOpen || this.isDraining) {
      const { child } = message
      if (message.type === 'watch') connection.say({ type: 'unwatched', child, id: message.id })
    } else if (lane.bufferedBytes + message.body.length > this.settings.laneBytesMax) {
      connection.fail('OVERLOADED', CLOSE_CODES.policy, 'more watches than the child takes in')
    } else lane.forwardWatching(connection, message)
  }

  private onEvent(lane: Lane, event: LinkEvent): void {
    const connection = this.connections.get(event.connection)
    if (connection !== undefined) this.deliver(lane, connection, event.message)
  }

  /** Late replies, to a connection or an attempt that is over, are dropped (hard-parts 27). */
  private onReply(lane: Lane, reply: LinkReply): void {
    const connection = this.connections.get(reply.connection)
    const pending = connection?.pending.get(reply.batchId)
    if (connection === undefined || pending?.lane !== lane) return
    if (reply.final) connection.settle(reply.batchId, pending)
    this.deliver(lane, connection, reply.message)
  }

  private deliver(lane: Lane, connection: Connection, message: Uint8Array): void {
    this.corks.cork(connection)
    connection.send(message)
    const isTold = lane.count(connection.number, message.length)
    if (isTold && (!connection.isPaused || this.isDraining)) lane.grant(connection.number)
    if (isFailure(message)) connection.close(CLOSE_CODES.protocol, 'see the message before')
  }

  /** The client has taken everything: it is read from again, and so may the children send again. */
  private onDrain(connection: Connection): void {
    connection.resume()
    for (const lane of this.lanes.values()) lane.grant(connection.number)
  }

  private onLaneEnd(lane: Lane): void {
    this.corks.uncork()
    if (this.lanes.get(lane.child) === lane) this.lanes.delete(lane.child)
    const { wire } = ERROR_RULES.UNAVAILABLE
    const message = `child ${lane.child} ended before it answered`
    for (const [number, id] of lane.lastWatches) {
      this.connections.get(number)?.say({ type: 'unwatched', child: lane.child, id })
    }
    for (const connection of this.connections.values()) {
      for (const [batchId, pending] of connection.pending) {
        if (pending.lane !== lane) continue
        connection.settle(batchId, pending)
        refuse(connection, batchId, wire, UNKNOWN, message)
      }
    }
  }

  private onClose(connection: Connection): void {
    if (connection.clientId === 0) this.greetings -= 1
    this.pressure.forget(connection)
    this.pace.forget(connection)
    connection.phase = 'closed'
    this.forget(connection)
  }

  /** Nobody waits for its replies any more. */
  private forget(connection: Connection): void {
    this.connections.delete(connection.number)
    if (this.byClient.get(connection.clientId) === connection) {
      this.byClient.delete(connection.clientId)
    }
    for (const [batchId, pending] of connection.pending) connection.settle(batchId, pending)
    for (const lane of this.lanes.values()) lane.closeConnection(connection.number)
  }
}
