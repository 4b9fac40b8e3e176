/**
 * A node in this process: it speaks the protocol to clients of this process, and keeps its shards in
 * memory.
 *
 * The seam is the bytes of the protocol. All of the client is above it, so a memory client checks,
 * batches, orders, fails and encodes values as any other does; what is here is what a node does.
 */
import type { Batch, Call, NodeMessage, Topology } from '@kv/protocol'
import {
  BATCH_BYTES_SOFT,
  BatchBody,
  decodeClientMessage,
  encodeMessage,
  IN_FLIGHT_BYTES_MAX,
  isReadCall,
  MESSAGE_BYTES_MAX,
  PROTOCOL_VERSION,
  shardOf,
  VALUE_BYTES_MAX,
  WireWriter,
  writePartReplyHead,
} from '@kv/protocol'
import { TIMER_MS_MAX } from '../clock.js'
import type { OpenTransport, TransportEvents } from '../connection/transport.js'
import { MemoryShard } from './memory-shard.js'
import { EPOCH } from './memory-feed.js'
import type { MemoryWatchesPorts } from './memory-watches.js'
import { MemoryWatches } from './memory-watches.js'
import { executeRead } from './read-calls.js'
import { executeWrite } from './write-calls.js'

/** As many as a node has by default, so that what must be on one shard must be here too. */
const SHARD_COUNT = 16
const CHILD = 1

/** Where a memory client takes the time from, for expiry only. */
export interface MemoryClock {
  /** Epoch milliseconds. */
  now(): number
}

/** How the node is woken when an entry expires that somebody watches; without it, by the next call. */
export type WakeAfter = (wake: () => void, ms: number) => () => void

let nodesMade = 0

export class MemoryNode {
  private readonly clusterId: string
  private readonly shards = Array.from({ length: SHARD_COUNT }, () => new MemoryShard())
  private readonly lines = new Set<Line>()
  private readonly clock: MemoryClock
  private readonly wakeAfter: WakeAfter | undefined
  private stopWaking: (() => void) | undefined = undefined
  private newestClientId = 0

  /** Throws `TypeError` for a clock that tells no time. */
  constructor(clock: MemoryClock, wakeAfter: WakeAfter | undefined) {
    if (!Number.isFinite(clock.now())) {
      throw new TypeError('now() of the clock gives epoch milliseconds, a finite number')
    }
    nodesMade += 1
    this.clusterId = `memory-${nodesMade}`
    this.clock = clock
    this.wakeAfter = wakeAfter
    for (const [id, shard] of this.shards.entries()) {
      shard.onRevision = () => {
        for (const { watches } of this.lines) watches.onRevision(id)
      }
    }
  }

  /** Opens a connection to this node, whatever the address. */
  readonly openTransport: OpenTransport = (_, events) => {
    const { shards } = this
    const line = new Line(events, { child: CHILD, shards, now: () => this.now() })
    this.lines.add(line)
    line.later(() => {
      events.onOpen()
    })
    const end = (): void => {
      line.end()
      this.lines.delete(line)
      this.wakeForExpiry()
    }
    return {
      send: (bytes) => {
        this.onBytes(line, bytes)
      },
      close: end,
      drop: end,
    }
  }

  private onBytes(line: Line, bytes: Uint8Array): void {
    const message = decodeClientMessage(bytes)
    switch (message.type) {
      case 'hello':
        this.welcome(line, message.clientId)
        return
      case 'ping':
        line.send({ type: 'pong', nonce: message.nonce })
        return
      case 'batch':
        this.answer(line, message)
        break
      case 'watch':
        line.watches.watch(message.body)
        break
      case 'credit':
        line.watches.credit(message.body)
        break
      case 'unwatch':
        line.watches.unwatch(message.body)
    }
    this.wakeForExpiry()
  }

  private welcome(line: Line, formerId: number): void {
    if (formerId === 0) this.newestClientId += 1
    line.send({
      type: 'welcome',
      protocolVersion: PROTOCOL_VERSION,
      clusterId: this.clusterId,
      clientId: formerId === 0 ? this.newestClientId : formerId,
      secret: Uint8Array.of(0),
      limits: {
        valueBytesMax: VALUE_BYTES_MAX,
        messageBytesMax: MESSAGE_BYTES_MAX,
        inFlightBytesMax: IN_FLIGHT_BYTES_MAX,
      },
      topology: TOPOLOGY,
    })
  }

  /** Executes the calls in order, and answers them in as many replies as their size asks for. */
  private answer(line: Line, batch: Batch): void {
    const nowMs = this.now()
    this.expire(nowMs)
    const body = new BatchBody(batch.body)
    let answers = new WireWriter()
    let positions: number[] = []
    for (let position = 0; position < body.callCount; position += 1) {
      this.execute(body.next(), nowMs, answers)
      positions.push(position)
      const isFinal = position === body.callCount - 1
      if (!isFinal && answers.position < BATCH_BYTES_SOFT) continue
      line.send({
        type: 'reply',
        batchId: batch.id,
        final: isFinal,
        body: reply(positions, answers),
      })
      answers = new WireWriter()
      positions = []
    }
  }

  private execute(call: Call, nowMs: number, answer: WireWriter): void {
    const shard = this.shards['shard' in call ? call.shard : shardOf(call.key, SHARD_COUNT)]!
    if (isReadCall(call)) executeRead(shard, call, nowMs, answer)
    else executeWrite(shard, call, nowMs, answer)
  }

  private expire(nowMs: number): void {
    for (const shard of this.shards) shard.expire(nowMs)
  }

  /** Whoever watches is told of an expiry when it is time, not only when somebody calls. */
  private wakeForExpiry(): void {
    this.stopWaking?.()
    this.stopWaking = undefined
    if (this.wakeAfter === undefined) return
    if (Array.from(this.lines).every(({ watches }) => watches.isEmpty)) return
    const nextExpiry = Math.min(...this.shards.map((shard) => shard.nextExpiry))
    if (nextExpiry === Infinity) return
    const ms = Math.min(Math.max(0, nextExpiry - this.now()), TIMER_MS_MAX)
    this.stopWaking = this.wakeAfter(() => {
      this.expire(this.now())
      this.wakeForExpiry()
    }, ms)
  }

  private now(): number {
    return Math.floor(this.clock.now())
  }
}

const TOPOLOGY: Topology = {
  version: 1,
  shardCount: SHARD_COUNT,
  children: [{ id: CHILD, port: 0 }],
  primaries: Array.from({ length: SHARD_COUNT }, () => CHILD),
  epochs: Array.from({ length: SHARD_COUNT }, () => EPOCH),
  backups: [],
}

function reply(positions: readonly number[], answers: WireWriter): Uint8Array {
  const body = new WireWriter()
  writePartReplyHead(body, positions)
  body.raw(answers.bytes, 0, answers.position)
  return body.written()
}

/** The way back to one client. What it hears comes later in the turn, never during its own call. */
class Line {
  readonly watches: MemoryWatches
  private readonly events: TransportEvents
  private isOpen = true

  constructor(events: TransportEvents, ports: Omit<MemoryWatchesPorts, 'send'>) {
    this.events = events
    this.watches = new MemoryWatches({
      ...ports,
      send: (message) => {
        this.send(message)
      },
    })
  }

  send(message: NodeMessage): void {
    const bytes = encodeMessage(message)
    this.later(() => {
      this.events.onMessage(bytes)
    })
  }

  later(work: () => void): void {
    queueMicrotask(() => {
      if (this.isOpen) work()
    })
  }

  end(): void {
    this.isOpen = false
  }
}
