/**
 * The clients that come by one link: their connections, and what each says, handed to who answers it.
 */
import type { BatchBody as Body, Call } from '@kv/protocol'
import { BatchBody, ERROR_RULES, KvError } from '@kv/protocol'
import type { Logger } from 'pino'
import type { LinkFrame, LinkRequest, ReplyEnd } from '../link/data-link.js'
import { LINK_BACKLOG_BYTES_MAX } from '../link/data-link.js'
import { MOVED_ANSWER } from '../shard/answer.js'
import type { ReadableCopy } from '../shard/committed-reads.js'
import type { Shard } from '../shard/shard.js'
import { BatchAnswers } from './batch-answers.js'
import { Connection } from './connection.js'
import { FairTurns } from './fair-turns.js'
import { ReadLane } from './read-lane.js'
import { failureMessage } from './reply.js'
import { ReplyGate } from './reply-gate.js'
import type { WatchTotals } from './watch-lane.js'
import { WatchLane } from './watch-lane.js'
import type { Ways } from './ways.js'
import type { WriteBatch } from './write-intake.js'

type BatchFrame = Extract<LinkRequest, { type: 'batch' }>

interface Client {
  readonly connection: Connection
  readonly reads: ReadLane
  /** From the first watch on. */
  watches: WatchLane | undefined
}

export interface ClientsPorts {
  readonly childId: number
  readonly shardCount: number
  readonly logger: Logger
  now(): number
  /** The copy that may answer a read of such a batch. */
  copyFor(call: Call, kind: Body['kind']): ReadableCopy | undefined
  primary(shard: number): Shard | undefined
  /** How many connections a client has: who has none writes nothing any more. */
  onJoin(clientId: number): void
  onLeave(clientId: number): void
  takeWrites(batch: WriteBatch): void
  /** Shared by all links, as what follows. */
  readonly ways: Ways
  readonly watched: WatchTotals
}

export class Clients {
  private readonly link: ReplyEnd
  private readonly ports: ClientsPorts
  private readonly clients = new Map<number, Client>()
  /** Who reads next. Nothing is read while there are answers that the link does not take. */
  private readonly reads: FairTurns<ReadLane>
  private readonly replies: ReplyGate

  constructor(link: ReplyEnd, ports: ClientsPorts) {
    this.link = link
    this.ports = ports
    this.reads = new FairTurns({
      work: (lane) => {
        lane.onTurn()
      },
      isBlocked: () => link.bufferedBytes >= LINK_BACKLOG_BYTES_MAX,
    })
    this.replies = new ReplyGate((connection, answers) => {
      for (const reply of answers.take()) this.send(connection, answers.batchId, reply)
    })
  }

  /** Lets the cursors of quiet watches keep up. To be called about twice a second. */
  tellProgress(): void {
    for (const { watches } of this.clients.values()) watches?.tellProgress()
  }

  /** The link takes more again. */
  onDrain(): void {
    this.reads.goOn()
  }

  onFrame(frame: LinkFrame): void {
    switch (frame.type) {
      case 'batch':
        this.onBatch(frame)
        return
      case 'window':
        this.clients.get(frame.connection)?.connection.taken(frame.bytes)
        return
      case 'open':
        this.openConnection(frame.connection, frame.clientId)
        return
      case 'watch':
      case 'credit':
      case 'unwatch':
        this.onWatching(frame)
        return
      case 'close':
        this.closeConnection(frame.connection)
        return
      case 'reply':
      case 'event':
        throw new Error(`data link: a ${frame.type} came from the coordinator`)
    }
  }

  private openConnection(id: number, clientId: number): void {
    const connection = new Connection(id, clientId)
    const reads = new ReadLane(connection, {
      turns: this.reads,
      copyFor: (call, kind) => this.ports.copyFor(call, kind),
      now: () => this.ports.now(),
      send: (to, batchId, final, message) => {
        this.send(to, batchId, { final, message })
      },
      onProtocolError: (to, batchId, error) => {
        this.endBatch(to, batchId, error)
      },
    })
    this.clients.set(id, { connection, reads, watches: undefined })
    this.ports.onJoin(clientId)
  }

  private closeConnection(id: number): void {
    const client = this.clients.get(id)
    if (client === undefined) return
    this.clients.delete(id)
    client.connection.close()
    client.watches?.close()
    this.ports.onLeave(client.connection.clientId)
  }

  private onWatching(frame: Extract<LinkRequest, { type: 'watch' | 'credit' | 'unwatch' }>): void {
    const client = this.clients.get(frame.connection)
    if (client === undefined) return
    client.watches ??= this.newWatchLane(client.connection)
    try {
      client.watches[frame.type](frame.body)
    } catch (error) {
      this.endConnection(client.connection, error, (message) => {
        this.sendEvent(client.connection, message)
      })
    }
  }

  private newWatchLane(connection: Connection): WatchLane {
    const { childId: child, shardCount, watched: totals } = this.ports
    const lane = new WatchLane(connection, {
      child,
      totals,
      shardCount,
      shard: (id) => this.ports.primary(id),
      send: (message) => {
        this.sendEvent(connection, message)
      },
    })
    connection.onTaken = () => {
      lane.onRoom()
    }
    return lane
  }

  private sendEvent(connection: Connection, message: Uint8Array): void {
    if (connection.isClosed) return
    connection.sent(message.length)
    this.link.event(connection.id, message)
  }

  private onBatch(frame: BatchFrame): void {
    const client = this.clients.get(frame.connection)
    if (client === undefined) return
    try {
      const body = new BatchBody(frame.body)
      if (body.isOfReads) client.reads.take({ id: frame.batchId, body })
      else this.onWrites(client.connection, frame, body)
    } catch (error) {
      this.endBatch(client.connection, frame.batchId, error)
    }
  }

  private onWrites(connection: Connection, frame: BatchFrame, body: BatchBody): void {
    const answers = new BatchAnswers(frame.batchId, body.callCount, () => {
      this.replies.onAnswer(connection, answers)
    })
    if (!this.ports.ways.admits(connection.clientId, this, frame.batchId)) {
      for (let call = 0; call < body.callCount; call += 1) answers.answer(call, MOVED_ANSWER)
      return
    }
    this.ports.takeWrites({
      body,
      clientId: connection.clientId,
      topologyVersion: frame.topologyVersion,
      answers,
      deadlineMs: this.ports.now() + frame.remainingMs,
      onProtocolError: (error) => {
        this.endBatch(connection, frame.batchId, error)
      },
    })
  }

  private send(
    connection: Connection,
    batchId: number,
    reply: { readonly final: boolean; readonly message: Uint8Array },
  ): void {
    if (connection.isClosed) return
    connection.sent(reply.message.length)
    this.link.reply(connection.id, batchId, reply.final, reply.message)
  }

  private endConnection(
    connection: Connection,
    error: unknown,
    send: (message: Uint8Array) => void,
  ): void {
    if (!(error instanceof KvError)) throw error
    this.ports.logger.warn(
      { client: connection.clientId, err: error },
      'a client broke the protocol',
    )
    send(failureMessage(ERROR_RULES.PROTOCOL.wire, error.message))
    this.closeConnection(connection.id)
  }

  private endBatch(connection: Connection, batchId: number, error: unknown): void {
    this.endConnection(connection, error, (message) => {
      this.send(connection, batchId, { final: true, message })
    })
  }
}
