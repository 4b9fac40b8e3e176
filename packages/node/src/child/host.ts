/**
 * What a child hosts: its shards, the connections that talk to them, and the work that is shared
 * (taking writes in order, applying, expiring).
 */
import type { Call } from '@kv/protocol'
import { BatchBody, ERROR_RULES, KvError, shardOf } from '@kv/protocol'
import type { Logger } from 'pino'
import type { ChildReport, Configuration, FromChild, ReplicaPlace } from '../link/control.js'
import type { DataLink, LinkFrame, LinkRequest } from '../link/data-link.js'
import type { Clock } from '../shard/clock.js'
import { monotonicClock } from '../shard/clock.js'
import type { HistoryLimits } from '../shard/feed/history.js'
import { Journals } from '../shard/journal/journals.js'
import { nodeFileSystem } from '../shard/log/file-system.js'
import { isDamage } from '../shard/replica.js'
import { Shard } from '../shard/shard.js'
import { BatchAnswers } from './batch-answers.js'
import { CommitRounds } from './commit-rounds.js'
import { Connection } from './connection.js'
import { OverlayBudget } from './overlay-budget.js'
import { ReadLane } from './read-lane.js'
import { failureMessage } from './reply.js'
import { ReplyGate } from './reply-gate.js'
import { WatchLane } from './watch-lane.js'
import { WriteIntake } from './write-intake.js'

const TICK_MS = 100
/** Watches hear how far quiet shards have come, twice a second. */
const PROGRESS_TICKS = 5

interface Client {
  readonly connection: Connection
  readonly reads: ReadLane
  /** From the first watch on. */
  watches: WatchLane | undefined
}

export interface HostPorts {
  readonly configuration: Configuration
  readonly logger: Logger
  report(message: FromChild): void
}

export class Host {
  private readonly configuration: Configuration
  private readonly ports: HostPorts
  private readonly clock: Clock
  private readonly shards = new Map<number, Shard>()
  /** By shard: the hosting of its copy here. */
  private readonly hostings = new Map<number, number>()
  /** By shard: the topology with which it was opened here last. */
  private readonly writableSince = new Map<number, number>()
  /** By volume: a failing disk must not stop the logs of another. */
  private readonly journals = new Map<string, Journals>()
  private readonly clients = new Map<number, Client>()
  private readonly budget: OverlayBudget
  private readonly rounds: CommitRounds
  private readonly writes: WriteIntake
  private readonly replies: ReplyGate
  private readonly ticking: NodeJS.Timeout
  private link: DataLink | undefined
  private ticks = 0

  constructor(ports: HostPorts) {
    this.ports = ports
    this.configuration = ports.configuration
    this.clock = monotonicClock(ports.configuration.clock)
    const now = (): number => this.clock.now()
    const { overlayBytesMax, valueBytesMax } = this.configuration.limits
    this.rounds = new CommitRounds(now)
    this.budget = new OverlayBudget({
      bytesMax: overlayBytesMax,
      shards: () => this.shards.values(),
      now,
      onChange: () => {
        this.writes.resume()
      },
      onError: (shard, error) => {
        ports.logger.error({ shard: shard.id, err: error }, 'could not apply writes to the state')
      },
    })
    this.writes = new WriteIntake({
      shardFor: (call, topologyVersion) => this.shardForWrite(call, topologyVersion),
      now,
      hasRoom: () => this.budget.hasRoom,
      refusal: () => this.budget.refusal,
      valueBytesMax,
      shardCount: this.configuration.shardCount,
    })
    this.replies = new ReplyGate((connection, answers) => {
      for (const reply of answers.take()) this.send(connection, answers.batchId, reply)
    })
    this.ticking = setInterval(() => {
      this.tick()
    }, TICK_MS)
  }

  /** Each shard's part of what is kept for watchers. */
  private get history(): HistoryLimits {
    const { shardCount, limits } = this.configuration
    return { bytesMax: limits.historyBytesMax / shardCount, ageMsMax: limits.historyMsMax }
  }

  /** Connects the data plane; its frames come to `onFrame`. */
  attach(link: DataLink): void {
    this.link = link
  }

  private shardFor(call: Call): Shard | undefined {
    const id = 'key' in call ? shardOf(call.key, this.configuration.shardCount) : call.shard
    return this.shards.get(id)
  }

  /**
   * A write that was routed before the shard came (back) here might overtake others of its client
   * that were sent to where the shard has been since: it is sent again, behind them.
   */
  private shardForWrite(call: Call, topologyVersion: number): Shard | undefined {
    const shard = this.shardFor(call)
    if (shard === undefined) return undefined
    return topologyVersion < (this.writableSince.get(shard.id) ?? 0) ? undefined : shard
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

  /** Everything that came with one read of the socket has been taken. */
  onChunkEnd(): void {
    this.writes.flush()
  }

  private openConnection(id: number, clientId: number): void {
    const connection = new Connection(id, clientId)
    const reads = new ReadLane(connection, {
      copyFor: (call) => this.shardFor(call),
      now: () => this.clock.now(),
      send: (to, batchId, final, message) => {
        this.send(to, batchId, { final, message })
      },
      onProtocolError: (to, batchId, error) => {
        this.endBatch(to, batchId, error)
      },
    })
    this.clients.set(id, { connection, reads, watches: undefined })
  }

  private closeConnection(id: number): void {
    const client = this.clients.get(id)
    client?.connection.close()
    client?.watches?.close()
    this.clients.delete(id)
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
    const { childId: child, shardCount } = this.configuration
    const lane = new WatchLane(connection, {
      child,
      shardCount,
      shard: (id) => this.shards.get(id),
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
    this.link?.event(connection.id, message)
  }

  private onBatch(frame: Extract<LinkRequest, { type: 'batch' }>): void {
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

  private onWrites(
    connection: Connection,
    frame: Extract<LinkRequest, { type: 'batch' }>,
    body: BatchBody,
  ): void {
    const answers = new BatchAnswers(frame.batchId, body.callCount, () => {
      this.replies.onAnswer(connection, answers)
    })
    this.writes.take({
      body,
      clientId: connection.clientId,
      topologyVersion: frame.topologyVersion,
      answers,
      deadlineMs: this.clock.now() + frame.remainingMs,
      onProtocolError: (error) => {
        this.endBatch(connection, frame.batchId, error)
      },
    })
    this.budget.onWrites()
  }

  private send(
    connection: Connection,
    batchId: number,
    reply: { readonly final: boolean; readonly message: Uint8Array },
  ): void {
    if (connection.isClosed) return
    connection.sent(reply.message.length)
    this.link?.reply(connection.id, batchId, reply.final, reply.message)
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

  private tick(): void {
    for (const shard of this.shards.values()) shard.onTick()
    this.ticks += 1
    if (this.ticks % PROGRESS_TICKS === 0) {
      for (const { watches } of this.clients.values()) watches?.tellProgress()
    }
    this.budget.onTick()
    this.rounds.onTick()
    // Room also comes from what was given up or released, and what waits may be over its time.
    this.writes.resume()
  }

  /** Opens a replica as primary; reports `opened` or `failed`. */
  async open(place: ReplicaPlace): Promise<void> {
    const { shard: id, hosting, epoch, volume, directory, create } = place
    try {
      const shard = await Shard.open({
        shard: id,
        epoch,
        directory,
        create,
        clusterId: this.configuration.clusterId,
        clock: this.clock,
        history: this.history,
        journals: this.journalsOf(volume),
        pace: (append) => this.rounds.take(append),
        onFailure: (error) => {
          void this.fail(id, hosting, error)
        },
      })
      this.shards.set(id, shard)
      this.hostings.set(id, hosting)
      this.writableSince.set(id, place.topologyVersion)
      this.ports.report({ type: 'opened', shard: id, hosting, epoch })
    } catch (error) {
      this.reportFailure(id, hosting, error as Error)
    }
  }

  private journalsOf(volume: string): Journals {
    const { childId } = this.configuration
    const known = this.journals.get(volume)
    if (known !== undefined) return known
    const made = new Journals({ files: nodeFileSystem, volume, childId })
    this.journals.set(volume, made)
    return made
  }

  /** The shard can't go on: lets go of it, so that it can be opened again, here or elsewhere. */
  private async fail(id: number, hosting: number, error: Error): Promise<void> {
    const shard = this.shards.get(id)
    if (shard === undefined || this.hostings.get(id) !== hosting) return
    this.shards.delete(id)
    await shard.close()
    this.reportFailure(id, hosting, error)
  }

  private reportFailure(shard: number, hosting: number, error: Error): void {
    this.ports.logger.error({ shard, hosting, err: error }, 'shard failed')
    const damaged = isDamage(error)
    this.ports.report({ type: 'failed', shard, hosting, reason: error.message, damaged })
  }

  /** Lets go of a shard: what was taken is answered, what comes now is answered «moved». */
  async release(id: number, hosting: number): Promise<void> {
    const shard = this.shards.get(id)
    if (shard !== undefined && this.hostings.get(id) === hosting) {
      this.shards.delete(id)
      await shard.close()
    }
    this.ports.report({ type: 'released', shard: id, hosting })
  }

  measure(): ChildReport {
    const { rss, heapUsed } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    return {
      rssBytes: rss,
      heapBytes: heapUsed,
      cpuMs: (user + system) / 1_000,
      shards: [...this.shards.values()].map((shard) => shard.report()),
    }
  }

  /** Answers what was taken, closes every shard. */
  async close(): Promise<void> {
    clearInterval(this.ticking)
    const closing = [...this.shards.values()]
    this.shards.clear()
    await Promise.all(closing.map((shard) => shard.close()))
    await Promise.all([...this.journals.values()].map((journals) => journals.close()))
  }
}
