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
import type { OpenTransport, TransportEvents } from '../connection/transport.js'
import { MemoryShard } from './memory-shard.js'
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

export class MemoryNode {
  private readonly shards = Array.from({ length: SHARD_COUNT }, () => new MemoryShard())
  private readonly clock: MemoryClock
  private newestClientId = 0

  /** Throws `TypeError` for a clock that tells no time. */
  constructor(clock: MemoryClock) {
    if (!Number.isFinite(clock.now())) {
      throw new TypeError('now() of the clock gives epoch milliseconds, a finite number')
    }
    this.clock = clock
  }

  /** Opens a connection to this node, whatever the address. */
  readonly openTransport: OpenTransport = (_, events) => {
    const line = new Line(events)
    line.later(() => {
      events.onOpen()
    })
    return {
      send: (bytes) => {
        this.onBytes(line, bytes)
      },
      close: () => {
        line.end()
      },
      drop: () => {
        line.end()
      },
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
        return
      case 'watch':
      case 'credit':
      case 'unwatch':
      // There are no watches here yet.
    }
  }

  private welcome(line: Line, formerId: number): void {
    if (formerId === 0) this.newestClientId += 1
    line.send({
      type: 'welcome',
      protocolVersion: PROTOCOL_VERSION,
      clusterId: 'memory',
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
    shard.expire(nowMs)
    if (isReadCall(call)) executeRead(shard, call, nowMs, answer)
    else executeWrite(shard, call, nowMs, answer)
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
  epochs: Array.from({ length: SHARD_COUNT }, () => 1),
}

function reply(positions: readonly number[], answers: WireWriter): Uint8Array {
  const body = new WireWriter()
  writePartReplyHead(body, positions)
  body.raw(answers.bytes, 0, answers.position)
  return body.written()
}

/** The way back to one client. What it hears comes later in the turn, never during its own call. */
class Line {
  private readonly events: TransportEvents
  private isOpen = true

  constructor(events: TransportEvents) {
    this.events = events
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
