/**
 * Puts the coordinator's parts together, starts them in order and ends them in order.
 *
 *   data directory ─▶ relay ─▶ port ─▶ supervisor ─▶ every shard open
 *
 * The port is taken before anything is forked, so that a node that can't have it leaves nothing
 * behind. Clients that come early are welcome: they learn that nothing is open yet.
 */
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { CLOSE_CODES, KvError, MESSAGE_BYTES_MAX } from '@kv/protocol'
import type { Logger } from 'pino'
import { ClientIds } from '../ingress/client-ids.js'
import { Greeter } from '../ingress/greeting.js'
import { LANE_BYTES_MAX, Relay } from '../ingress/relay.js'
import { tokenCheck } from '../ingress/token.js'
import type {
  ClockReading,
  Configuration,
  DirectAccess,
  Fsync,
  PortRange,
} from '../link/control.js'
import type { ChildExit, ForkChild } from './child-process.js'
import { assertScale } from './child-count.js'
import type { CopyState } from './copy-state.js'
import type { DataDirectory } from './data-directory.js'
import type { Failover, Move } from './failover-watch.js'
import { FailoverWatch } from './failover-watch.js'
import { createHttpServer, takePort } from './http.js'
import { measurementOf } from './measurement.js'
import type { NodeState } from './node-state.js'
import type { NodeTopology } from './operator-topology.js'
import { missingShards, operatorTopology } from './operator-topology.js'
import type { Possessions } from './possessions.js'
import { firstState, takePossession } from './possessions.js'
import type { RunDirectory } from './run-directory.js'
import { Scaling } from './scaling.js'
import type { StartOutcome } from './start-outcome.js'
import { startOutcome } from './start-outcome.js'
import { recordOf } from './state-record.js'
import type { NodeStats } from './statistics.js'
import { Statistics } from './statistics.js'
import type { StoredScale } from './stored-records.js'
import { Supervisor } from './supervisor.js'
import { copyDirectory } from './topology-store.js'

/** With the two turns that a child has to miss: far less than the shortest time-out. */
const PING_INTERVAL_MS = 50
const SWEEP_INTERVAL_MS = 1_000

/** How long a node that closes waits for what is in flight. With the two below under 10 s. */
const DRAIN_PATIENCE_MS = 2_500
/** How long its children may take to close their shards. */
const STOP_PATIENCE_MS = 4_500
/** How long clients may take to answer the close. */
const GOODBYE_PATIENCE_MS = 1_000
const POLL_MS = 10

export interface CoordinatorSettings {
  readonly volumes: readonly string[]
  /** Indices of `volumes`. */
  readonly lostVolumes: readonly number[]
  readonly host: string
  readonly port: number
  readonly children: number | undefined
  readonly usualChildren: number
  readonly shards: number | undefined
  readonly newShards: number
  readonly replicationFactor: number | undefined
  readonly minInSync: number | undefined
  readonly fsync: Fsync
  readonly token: string | undefined
  readonly origins: readonly string[]
  /** Where children take clients by themselves; `undefined`: nowhere. */
  readonly directPorts: PortRange | undefined
  readonly limits: {
    readonly valueBytesMax: number
    readonly overlayBytesMax: number
    readonly historyBytesMax: number
    readonly historyMsMax: number
    readonly inFlightBytesMax: number
    readonly connectionsMax: number
  }
  readonly snapshotsEveryMs: number
  readonly pingTimeoutMs: number
  readonly log: Logger
  readonly fork: ForkChild
}

export interface CoordinatorListener {
  onTopology(topology: NodeTopology): void
  onChildExit(exit: ChildExit & { readonly child: number; readonly pid: number }): void
  onFailover(failover: Failover): void
  onMove(move: Move): void
}

export class Coordinator {
  private readonly settings: CoordinatorSettings
  private readonly directory: DataDirectory
  /** Where children listen for each other; `undefined` with one copy: nobody does. */
  private readonly runDirectory: RunDirectory | undefined
  private readonly listener: CoordinatorListener
  private readonly relay: Relay
  private readonly supervisor: Supervisor
  private readonly statistics: Statistics
  private readonly failovers: FailoverWatch
  private readonly server: Server
  private readonly clock: ClockReading
  private readonly sweepTimer: NodeJS.Timeout
  private readonly scaling = new Scaling()
  private scaled: StoredScale | undefined
  private lastRecord = ''
  private measuring: Promise<NodeStats> | undefined
  private isClosing = false
  private boundPort = 0
  /** Settles the start; does nothing later. */
  private onOutcome: (outcome: StartOutcome) => void = () => {}

  private constructor(
    settings: CoordinatorSettings,
    { directory, runDirectory }: Possessions,
    listener: CoordinatorListener,
  ) {
    this.settings = settings
    this.directory = directory
    this.runDirectory = runDirectory
    this.listener = listener
    this.clock = { wallMs: Date.now(), monotonicNs: process.hrtime.bigint().toString() }
    this.scaled = directory.store.stored.scaled
    const state = firstState(directory, settings)
    this.failovers = new FailoverWatch(state.published)
    this.relay = this.createRelay(state)
    this.statistics = new Statistics((nonce) =>
      this.supervisor.broadcast({ type: 'report', nonce }),
    )
    this.supervisor = this.createSupervisor(state)
    this.server = this.createServer()
    this.sweepTimer = setInterval(() => this.relay.sweep(), SWEEP_INTERVAL_MS)
  }

  /** Resolves when every shard has a primary; rejects, with nothing left behind, if that can't be. */
  static async start(
    settings: CoordinatorSettings,
    listener: CoordinatorListener,
  ): Promise<Coordinator> {
    const coordinator = new Coordinator(settings, await takePossession(settings), listener)
    try {
      coordinator.boundPort = await takePort(coordinator.server, settings.host, settings.port)
      await coordinator.arrive()
      return coordinator
    } catch (error) {
      await coordinator.close()
      throw error
    }
  }

  get port(): number {
    return this.boundPort
  }

  get shardCount(): number {
    return this.directory.store.identity.shardCount
  }

  topology(): NodeTopology {
    return operatorTopology(this.supervisor.state, (shard, copy) => this.directoryOf(shard, copy))
  }

  /**
   * The node is to have so many children; resolves when nothing is left to move. `onAccepted` is called
   * once that is on disk: from then on it is done, by the next coordinator if not by this one.
   */
  async scale(children: number, onAccepted?: () => void): Promise<void> {
    const { copies } = this.directory
    assertScale(children, { copies, shards: this.shardCount })
    if (this.isClosing) {
      throw new KvError('CLOSED', 'the node is closed', { outcome: 'not-applied' })
    }
    this.scaled = { asked: this.settings.children ?? 0, children }
    const settled = this.scaling.wait(children)
    // Whoever waits hears of it below; meanwhile nobody does.
    settled.catch(() => {})
    this.supervisor.scale(children)
    await this.persist(this.supervisor.state)
    onAccepted?.()
    await settled
  }

  /** Resolves once it is on disk; whoever wants to know more can look. */
  private acceptScale(children: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.scale(children as number, resolve).catch((error: unknown) => {
        this.settings.log.warn({ err: error }, 'the node could not be scaled')
        reject(error as Error)
      })
    })
  }

  /** Callers at the same time share one answer: a child has at most one report to write. */
  stats(): Promise<NodeStats> {
    this.measuring ??= this.measure().finally(() => {
      this.measuring = undefined
    })
    return this.measuring
  }

  /** Answers what is in flight, ends the children, gives the directory free. Under 10 s. */
  async close(): Promise<void> {
    this.isClosing = true
    this.scaling.end()
    this.server.close()
    this.relay.drain()
    await until(() => this.relay.pendingBatches === 0, DRAIN_PATIENCE_MS)
    this.relay.closeAll(CLOSE_CODES.goingAway, 'the node shuts down')
    await this.supervisor.stop(STOP_PATIENCE_MS)
    await until(() => this.relay.connectionCount === 0, GOODBYE_PATIENCE_MS)
    this.relay.terminateAll()
    this.server.closeAllConnections()
    clearInterval(this.sweepTimer)
    await this.persist(this.supervisor.state).catch((error: unknown) => {
      // The next start waits for processes that are gone, and that is all.
      this.settings.log.error({ err: error }, 'the last topology could not be written')
    })
    await this.runDirectory?.close().catch((error: unknown) => {
      this.settings.log.warn({ err: error }, 'the directory of sockets could not be removed')
    })
    await this.directory.lock.release()
  }

  private async measure(): Promise<NodeStats> {
    const reports = await this.statistics.collect()
    return measurementOf(this.supervisor.state, {
      statistics: this.statistics,
      reports,
      connected: {
        connections: this.relay.connectionCount,
        batchesInFlight: this.relay.pendingBatches,
        fsync: this.settings.fsync,
      },
      nowMs: performance.now(),
    })
  }

  private async arrive(): Promise<void> {
    const { log } = this.settings
    const outcome = await new Promise<StartOutcome>((resolve) => {
      this.onOutcome = resolve
      this.supervisor.start()
    })
    this.onOutcome = () => {}
    if (outcome.type === 'failed') {
      const message = `the node does not start: ${outcome.reason}; the log says more`
      throw new KvError('UNAVAILABLE', message, { outcome: 'not-applied' })
    }
    if (outcome.type === 'arrived' && outcome.missing.length > 0) {
      log.error({ shards: outcome.missing }, 'started, but these shards are not available')
    }
  }

  private createServer(): Server {
    const { token, origins, limits } = this.settings
    return createHttpServer({
      readiness: () => this.readiness(),
      relay: this.relay,
      connectionsMax: limits.connectionsMax,
      origins: { hasToken: token !== undefined, allowed: origins },
      isTokenRight: tokenCheck(token),
      stats: () => this.stats(),
      scale: (children) => this.acceptScale(children),
    })
  }

  private createRelay(state: NodeState): Relay {
    const { settings, directory } = this
    const { store } = directory
    const ids = new ClientIds({
      next: directory.firstClientId,
      end: store.stored.clientIdsEnd,
      secret: store.identity.secret,
      reserve: (clientIdsEnd) => store.update({ clientIdsEnd }),
    })
    return new Relay(
      {
        clusterId: store.identity.clusterId,
        limits: {
          valueBytesMax: settings.limits.valueBytesMax,
          messageBytesMax: MESSAGE_BYTES_MAX,
          inFlightBytesMax: settings.limits.inFlightBytesMax,
        },
        connectionsMax: settings.limits.connectionsMax,
        laneBytesMax: LANE_BYTES_MAX,
        greeter: new Greeter(ids, settings.token),
        now: () => performance.now(),
        onError: (error) => settings.log.error({ err: error }, 'a message made the relay fail'),
      },
      state.published,
    )
  }

  private createSupervisor(state: NodeState): Supervisor {
    const { settings } = this
    return new Supervisor(state, {
      fork: settings.fork,
      relay: this.relay,
      pulse: { intervalMs: PING_INTERVAL_MS, timeoutMs: settings.pingTimeoutMs },
      log: settings.log,
      configurationOf: (child) => this.configurationOf(child),
      volumePath: (volume) => settings.volumes[volume]!,
      directoryOf: (shard, copy) => this.directoryOf(shard, copy),
      persist: (changed) => this.persist(changed),
      listener: {
        onPublish: () => this.onPublish(),
        onChildExit: (child, { replicationAddress, ...exit }) => {
          this.statistics.onChildExit(child)
          void this.runDirectory?.forget(replicationAddress).catch(() => {})
          this.listener.onChildExit({ child, ...exit })
        },
        onReport: (child, nonce, report) => this.statistics.onReport(child, nonce, report),
        onChange: () => this.onChange(),
      },
    })
  }

  private configurationOf(childId: number): Configuration {
    const { limits, fsync, snapshotsEveryMs } = this.settings
    const { valueBytesMax, overlayBytesMax, historyBytesMax, historyMsMax } = limits
    return {
      childId,
      clusterId: this.directory.store.identity.clusterId,
      shardCount: this.shardCount,
      clock: this.clock,
      limits: { valueBytesMax, overlayBytesMax, historyBytesMax, historyMsMax },
      fsync,
      jumps: this.directory.store.stored.jumps === true,
      snapshotsEveryMs,
      logLevel: this.settings.log.level,
      replicationAddress: this.runDirectory?.addressFor(childId) ?? '',
      direct: this.directAccess(),
    }
  }

  private directAccess(): DirectAccess | undefined {
    const { directPorts, host, token, origins, limits } = this.settings
    if (directPorts === undefined) return undefined
    const { inFlightBytesMax, connectionsMax } = limits
    const clientSecret = this.directory.store.identity.secret
    return { host, ...directPorts, token, clientSecret, origins, inFlightBytesMax, connectionsMax }
  }

  private directoryOf(shard: number, { copy, volume }: CopyState): string {
    return copyDirectory(this.settings.volumes[volume]!, shard, copy)
  }

  private async persist(state: NodeState): Promise<void> {
    const record = { ...recordOf(state), scaled: this.scaled }
    const text = JSON.stringify(record)
    if (text === this.lastRecord) return
    await this.directory.store.update(record)
    this.lastRecord = text
  }

  private onPublish(): void {
    const { published, shards } = this.supervisor.state
    const { failovers, moves } = this.failovers.onPublish(published, shards, performance.now())
    if (failovers.length > 0) {
      const served = failovers.map((failover) => failover.shard)
      this.settings.log.warn(
        { shards: served },
        'shards that had lost their child are served again',
      )
    }
    for (const failover of failovers) this.listener.onFailover(failover)
    for (const move of moves) this.listener.onMove(move)
    this.listener.onTopology(this.topology())
    this.onChange()
  }

  private onChange(): void {
    this.scaling.onChange(this.supervisor.state, performance.now())
    const outcome = startOutcome(this.supervisor.state)
    if (outcome.type !== 'pending') this.onOutcome(outcome)
  }

  private readiness(): {
    isReady: boolean
    missing: readonly { readonly shard: number; readonly reason: string }[]
  } {
    const missing = missingShards(this.supervisor.state)
    return { isReady: !this.isClosing && missing.length === 0, missing }
  }
}

async function until(isDone: () => boolean, patienceMs: number): Promise<void> {
  for (let waitedMs = 0; !isDone() && waitedMs < patienceMs; waitedMs += POLL_MS) {
    await delay(POLL_MS)
  }
}
