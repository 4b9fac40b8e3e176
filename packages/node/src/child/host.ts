/**
 * What a child hosts: its shards, the connections that talk to them, and the work that is shared
 * (taking writes in order, applying, expiring).
 */
import type { BatchBody, Call } from '@kv/protocol'
import { shardOf } from '@kv/protocol'
import type { Logger } from 'pino'
import type { ChildReport, Configuration, FromChild } from '../link/control.js'
import type { ReplyEnd } from '../link/data-link.js'
import type { Clock } from '../shard/clock.js'
import { monotonicClock } from '../shard/clock.js'
import type { ReadableCopy } from '../shard/committed-reads.js'
import type { Shard } from '../shard/shard.js'
import { CommitFailed } from '../shard/state/commit-failure.js'
import { Clients } from './clients.js'
import { CommitRounds } from './commit-rounds.js'
import { OverlayBudget } from './overlay-budget.js'
import { Replicas } from './replicas.js'
import { ReplicationDialer } from './replication-dialer.js'
import { ReplicationServer } from './replication-server.js'
import { Ways } from './ways.js'
import { WriteIntake } from './write-intake.js'

const TICK_MS = 100
/** How soon writes that wait for the logs are taken when there is room again. */
const LOG_POLL_MS = 1
/** Watches hear how far quiet shards have come, twice a second. */
const PROGRESS_TICKS = 5
/** How long the backups of a child that ends wait for the primaries they follow to be closed. */
const PRIMARIES_PATIENCE_MS = 2_000
const APPLY_FAILURE = 'could not apply writes to the state'

export interface HostPorts {
  readonly configuration: Configuration
  readonly logger: Logger
  report(message: FromChild): void
  /** Memory of this process may be overwritten: nothing more may be served from it. */
  endProcess(reason: CommitFailed): void
}

export class Host {
  private readonly configuration: Configuration
  private readonly ports: HostPorts
  private readonly clock: Clock
  readonly replicas: Replicas
  private readonly server: ReplicationServer
  private readonly dialer: ReplicationDialer
  /** By link. */
  private readonly clients: Clients[] = []
  private readonly ways = new Ways()
  private readonly watched = { feeds: 0, keys: 0 }
  private readonly budget: OverlayBudget
  private readonly rounds: CommitRounds
  private readonly writes: WriteIntake
  private readonly ticking: NodeJS.Timeout
  private closing: Promise<void> | undefined
  private polling: NodeJS.Timeout | undefined
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
      overlays: () => this.replicas.overlays(),
      now,
      onChange: () => {
        this.writes.resume()
      },
      onError: ({ id }, error) => {
        if (error instanceof CommitFailed) ports.endProcess(error)
        else ports.logger.error({ shard: id, err: error }, APPLY_FAILURE)
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
    this.server = this.newServer()
    this.dialer = this.newDialer()
    this.replicas = this.newReplicas()
    this.ticking = setInterval(() => {
      this.tick()
    }, TICK_MS)
  }

  private newServer(): ReplicationServer {
    return new ReplicationServer({
      shardCount: this.configuration.shardCount,
      attach: (target, to) => this.replicas.attach(target, to),
      onError: (error) => {
        this.ports.logger.warn({ err: error }, 'the connection of a backup broke')
      },
    })
  }

  private newDialer(): ReplicationDialer {
    return new ReplicationDialer({
      now: () => this.clock.now(),
      chance: () => Math.random(),
      onEnd: (target, address, reason) => {
        this.ports.logger.info(
          { ...target, address, reason },
          'a backup does not follow: it tries again',
        )
      },
    })
  }

  private newReplicas(): Replicas {
    return new Replicas({
      configuration: this.configuration,
      logger: this.ports.logger,
      clock: this.clock,
      pace: (append) => this.rounds.take(append),
      report: (message) => {
        this.ports.report(message)
      },
      onPrimary: (shard) => {
        this.server.onPrimary(shard)
      },
      onPrimaryGone: (shard, reason) => {
        this.server.endAll(shard, reason)
      },
      follow: (target, address, backup) => {
        this.dialer.follow(target, address, backup)
      },
      leave: (shard, reason) => {
        this.dialer.leave(shard, reason)
      },
    })
  }

  /** Resolves when backups of other children can come here. */
  async listen(): Promise<void> {
    const { replicationAddress } = this.configuration
    if (replicationAddress !== '') await this.server.listen(replicationAddress)
  }

  /** Takes in the clients that come by this link: its requests are theirs. */
  attach(link: ReplyEnd): Clients {
    const { childId, shardCount } = this.configuration
    const clients = new Clients(link, {
      childId,
      shardCount,
      logger: this.ports.logger,
      now: () => this.clock.now(),
      copyFor: (call, kind) => this.copyFor(call, kind),
      primary: (shard) => this.replicas.primary(shard),
      ways: this.ways,
      watched: this.watched,
      onJoin: (clientId) => {
        this.writes.join(clientId)
      },
      onLeave: (clientId) => {
        this.writes.leave(clientId)
      },
      takeWrites: (batch) => {
        this.writes.take(batch)
        this.budget.onWrites()
        this.pollLogs()
      },
    })
    this.clients.push(clients)
    return clients
  }

  /** Logs do not say when they have room; there is none only while there is more than they take. */
  private pollLogs(): void {
    if (this.polling !== undefined || !this.writes.isWaiting) return
    this.polling = setTimeout(() => {
      this.polling = undefined
      this.writes.goOn()
      this.budget.onWrites()
      this.pollLogs()
    }, LOG_POLL_MS)
  }

  /** Everything that came with one turn has been taken. */
  onChunkEnd(): void {
    this.writes.flush()
  }

  private shardIdOf(call: Call): number {
    return 'key' in call ? shardOf(call.key, this.configuration.shardCount) : call.shard
  }

  private shardFor(call: Call): Shard | undefined {
    return this.replicas.primary(this.shardIdOf(call))
  }

  /** Reads are for the primary, unless they say that any copy in sync will do. */
  private copyFor(call: Call, kind: BatchBody['kind']): ReadableCopy | undefined {
    const id = this.shardIdOf(call)
    const primary = this.replicas.primary(id)
    if (primary !== undefined || kind !== 'replicaReads') return primary
    const backup = this.replicas.backup(id)
    return backup?.isReadable === true ? backup : undefined
  }

  /**
   * A write that was routed before the shard came (back) here might overtake others of its client
   * that were sent to where the shard has been since: it is sent again, behind them.
   */
  private shardForWrite(call: Call, topologyVersion: number): Shard | undefined {
    const shard = this.shardFor(call)
    if (shard === undefined) return undefined
    return topologyVersion < this.replicas.writableSince(shard.id) ? undefined : shard
  }

  private tick(): void {
    this.replicas.onTick()
    this.ticks += 1
    if (this.ticks % PROGRESS_TICKS === 0) {
      for (const clients of this.clients) clients.tellProgress()
    }
    this.budget.onTick()
    this.rounds.onTick()
    // Room also comes from what was given up or released, and what waits may be over its time.
    this.writes.resume()
  }

  /** All but what only its door knows. */
  measure(): Omit<ChildReport, 'directConnections'> {
    const { rss, heapUsed } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    return {
      rssBytes: rss,
      heapBytes: heapUsed,
      cpuMs: (user + system) / 1_000,
      shards: this.replicas.shardReports(),
      copies: this.replicas.copyReports(),
    }
  }

  /** Answers what was taken, closes every shard. */
  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  private async closeAll(): Promise<void> {
    // The primaries of other children may be closing, too: what they took commits with the backups
    // here.
    await this.replicas.closePrimaries()
    this.server.refuse('the child ends')
    await this.dialer.drain(PRIMARIES_PATIENCE_MS)
    await this.replicas.closeAll()
    clearInterval(this.ticking)
    clearTimeout(this.polling)
    this.server.close()
  }
}
