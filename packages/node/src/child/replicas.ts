/**
 * Which copies this child hosts, and in which role.
 *
 *            back                       open (of the same hosting)
 *   absent ────────▶ backup ─────────────────────▶ opening ──▶ primary
 *     │                │              open            ▲           │
 *     └────────────────┼──────────────────────────────┘           │
 *     ◀────────────────┴──── release, or it fails ────────────────┘
 *
 * What is asked for one shard is done in order. A release does not wait for an opening: a primary that
 * waits for its followers may wait for ever. Whatever becomes of a hosting is reported once.
 */
import type { Logger } from 'pino'
import type {
  BackupPlace,
  Configuration,
  CopyReport,
  FromChild,
  Hosting,
  InSync,
  ReplicaPlace,
  ShardReport,
} from '../link/control.js'
import type { ChannelTarget } from '../link/replication-link.js'
import type { Backup } from '../shard/backup.js'
import type { Clock } from '../shard/clock.js'
import type { HistoryLimits } from '../shard/feed/history.js'
import type { Replica, ReplicaOptions } from '../shard/replica.js'
import { isDamage } from '../shard/replica.js'
import type { ReplicationOptions } from '../shard/primary/replicated-log.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import type { Pace } from '../shard/sequencer/sequencer.js'
import type { Shard } from '../shard/shard.js'
import { ReadCache } from '../shard/state/read-cache.js'
import { noteStateDamage } from '../shard/state-rebuild.js'
import type { Conversation, Counterpart } from './conversation.js'
import { type Engine, type PrimaryOptions, REAL_ENGINE } from './engine.js'
import { alreadyHosted, EndedHostings, type Hosted, isSame, newHosted } from './hosted.js'
import type { Following } from './replication-dialer.js'
import { setAside } from './set-aside.js'
import { SnapshotTurns } from './snapshot-turns.js'
import { Turns } from './turns.js'
import { Volumes } from './volumes.js'

/** Memory for entries that were read lately. A power of two; taken from the system as it fills. */
const READ_CACHE_BYTES = 16 * 1_048_576

export interface ReplicasPorts {
  readonly configuration: Configuration
  readonly logger: Logger
  readonly clock: Clock
  readonly pace: Pace
  readonly engine?: Engine
  report(message: FromChild): void
  /** A primary takes followers from now on, although it may not serve clients yet. */
  onPrimary(shard: number): void
  /** There is no primary of the shard here any more. */
  onPrimaryGone(shard: number, reason: string): void
  /** Whom a backup follows from now on; nobody without an address. */
  follow(target: ChannelTarget, address: string | undefined, backup: Following): void
  /** The shard's backup follows nobody any more. */
  leave(shard: number, reason: string): void
}

/** An order to open a copy that has not been carried out. */
interface Task {
  readonly hosting: number
  isCancelled: boolean
}

export class Replicas {
  private readonly ports: ReplicasPorts
  private readonly engine: Engine
  private readonly hosted = new Map<number, Hosted>()
  /** Primaries that serve clients. */
  private readonly served = new Map<number, Hosted & { readonly shard: Shard }>()
  private readonly tasks = new Map<number, Set<Task>>()
  private readonly turns = new Turns()
  private readonly ended = new EndedHostings()
  private readonly snapshots = new SnapshotTurns()
  private readonly volumes: Volumes
  private readonly readCache = new ReadCache(READ_CACHE_BYTES)
  private isClosing = false

  constructor(ports: ReplicasPorts) {
    this.ports = ports
    this.engine = ports.engine ?? REAL_ENGINE
    this.volumes = new Volumes(ports.configuration)
  }

  /** The primary that serves the shard here. */
  primary(shard: number): Shard | undefined {
    return this.served.get(shard)?.shard
  }

  /** The topology with which the primary was opened here. */
  writableSince(shard: number): number {
    return this.served.get(shard)?.topologyVersion ?? 0
  }

  /** The copy that follows its primary here. */
  backup(shard: number): Backup | undefined {
    return this.hosted.get(shard)?.backup
  }

  /** What holds committed writes in memory until they are applied. */
  *overlays(): Iterable<Shard | Backup> {
    for (const { shard, backup, closing } of this.hosted.values()) {
      const copy = shard ?? backup
      if (copy !== undefined && closing === undefined) yield copy
    }
  }

  /** Opens a copy as primary, or makes one of a backup; reports `opened` or `failed`. */
  open(place: ReplicaPlace): Promise<void> {
    return this.order(place, async (task) => {
      const former = this.hosted.get(place.shard)
      const isPromotion = former?.backup !== undefined && isSame(former.place, place)
      if (former !== undefined && !isPromotion) throw new Error(alreadyHosted(former))
      const replica = isPromotion ? await this.promoted(former) : undefined
      await this.openPrimary(place, replica, task)
    })
  }

  private async promoted(former: Hosted): Promise<Replica | undefined> {
    const { shard } = former.place
    this.ports.leave(shard, 'it is promoted')
    try {
      return await former.backup?.promote()
    } catch (error) {
      await this.letGo(former, 'it has failed')
      throw former.failure ?? error
    } finally {
      if (this.hosted.get(shard) === former) this.hosted.delete(shard)
    }
  }

  private async openPrimary(
    place: ReplicaPlace,
    replica: Replica | undefined,
    task: Task,
  ): Promise<void> {
    const { shard: id, hosting, epoch, inSync, minInSync } = place
    const hosted = newHosted(place, place)
    this.hosted.set(id, hosted)
    const replication: ReplicationOptions = {
      copy: place.copy,
      inSync,
      minInSync,
      ask: (change, version) => {
        this.ports.report({ type: 'askSet', shard: id, epoch, version, change })
      },
    }
    const options: PrimaryOptions = {
      ...this.replicaOptions(place),
      epoch,
      jumps: this.ports.configuration.jumps,
      clock: this.ports.clock,
      history: this.history,
      pace: this.ports.pace,
      onFailure: (error) => this.fail(hosted, error),
      ...(replica === undefined ? {} : { replica }),
      // Where nobody can follow, nothing is paid for it.
      ...(this.ports.configuration.replicationAddress === ''
        ? this.snapshotOptions(id)
        : { replication }),
      onOpening: (shard) => {
        hosted.shard = shard
        if (task.isCancelled || hosted.failure !== undefined) void this.close(hosted)
        else this.ports.onPrimary(id)
      },
    }
    try {
      hosted.shard = await this.engine.openShard(options)
      if (hosted.failure !== undefined) throw hosted.failure
    } catch (error) {
      await this.letGo(hosted, 'it could not begin its epoch')
      throw hosted.failure ?? error
    }
    if (task.isCancelled) return
    hosted.isServed = true
    this.served.set(id, hosted as Hosted & { readonly shard: Shard })
    this.ports.onPrimary(id)
    this.ports.report({ type: 'opened', shard: id, hosting, epoch })
  }

  /** Opens a copy as backup, or has one follow another primary; reports `backing` or `failed`. */
  back(place: BackupPlace): Promise<void> {
    return this.order(place, async () => {
      const { shard, copy, hosting, primaryAddress, create, directory } = place
      const former = this.hosted.get(shard)
      if (former?.backup !== undefined && isSame(former.place, place)) {
        this.ports.follow({ shard, copy }, primaryAddress, former.backup)
        return
      }
      if (former !== undefined) throw new Error(alreadyHosted(former))
      if (create) await setAside(directory)
      const hosted = newHosted(place, { epoch: 0, topologyVersion: 0 })
      const backup = await this.engine.openBackup({
        ...this.replicaOptions(place),
        copy,
        hosting,
        clock: this.ports.clock,
        history: this.history,
        pace: this.ports.pace,
        onFailure: (error) => {
          this.fail(hosted, error)
        },
      })
      hosted.backup = backup
      this.hosted.set(shard, hosted)
      if (hosted.failure !== undefined) {
        await this.letGo(hosted, 'it has failed')
        throw hosted.failure
      }
      this.ports.report({ type: 'backing', shard, hosting })
      this.ports.follow({ shard, copy }, primaryAddress, backup)
    })
  }

  /** Of a shard with one copy: others would be rebuilt from each other. */
  private snapshotOptions(shard: number): Pick<PrimaryOptions, 'snapshots'> {
    const { snapshotsEveryMs: everyMs } = this.ports.configuration
    if (everyMs === 0) return {}
    const onError = (error: Error): void => {
      this.ports.logger.warn({ shard, err: error }, 'a snapshot could not be taken')
    }
    return { snapshots: { everyMs, onError } }
  }

  private replicaOptions({ shard, directory, create, volume }: Hosting): ReplicaOptions {
    const { clusterId } = this.ports.configuration
    const onRebuilt: ReplicaOptions['onRebuilt'] = (rebuilt) => {
      this.ports.logger.warn(
        { shard, ...rebuilt },
        'the stored state was damaged: it was built anew from a snapshot and the log, nothing is lost',
      )
    }
    const { journals, openings } = this.volumes.at(volume)
    const shared = { readCache: this.readCache, openings, journals: journals.fromNow() }
    return { shard, directory, create, clusterId, onRebuilt, ...shared }
  }

  /** Each shard's part of what is kept for watchers. */
  private get history(): HistoryLimits {
    const { shardCount, limits } = this.ports.configuration
    return { bytesMax: limits.historyBytesMax / shardCount, ageMsMax: limits.historyMsMax }
  }

  /** Carries out an order once those before it are, unless the copy is released first. */
  private order(place: Hosting, work: (task: Task) => Promise<void>): Promise<void> {
    if (this.isClosing) return Promise.resolve()
    const { shard, hosting } = place
    const task: Task = { hosting, isCancelled: false }
    const tasks = this.tasks.get(shard) ?? new Set()
    this.tasks.set(shard, tasks.add(task))
    return this.turns.run(shard, async () => {
      try {
        if (!task.isCancelled && !this.isPast(place)) await work(task)
      } catch (error) {
        const hosted = this.hosted.get(shard)
        // Whatever failed, what is reported as failed is not here any more.
        if (hosted !== undefined && isSame(hosted.place, place))
          await this.letGo(hosted, 'it has failed')
        if (!task.isCancelled) this.reportFailure(place, error as Error)
      } finally {
        tasks.delete(task)
        if (tasks.size === 0) this.tasks.delete(shard)
      }
    })
  }

  /** It has ended here, and its directory is another's (P5): nothing is done about it, or told. */
  private isPast(place: Hosting): boolean {
    const hosted = this.hosted.get(place.shard)
    const isHere = hosted !== undefined && isSame(hosted.place, place)
    return !isHere && this.ended.isPast(place)
  }

  /** The coordinator has persisted a set. */
  onInSync(shard: number, epoch: number, inSync: InSync): void {
    const hosted = this.hosted.get(shard)
    if (hosted?.epoch === epoch) hosted.shard?.replication?.onStored(inSync)
  }

  /** Brings a follower to its primary; `undefined` if it is not here, or not yet. */
  attach(
    { shard, copy }: ChannelTarget,
    to: Counterpart<ToFollower>,
  ): Conversation<ToPrimary> | undefined {
    const hosted = this.hosted.get(shard)
    if (hosted === undefined || hosted.closing !== undefined || hosted.place.copy === copy) {
      return undefined
    }
    return hosted.shard?.replication?.attach(copy, to)
  }

  /** The copy can't go on: lets go of it, so that it can be opened again, here or elsewhere. */
  private fail(hosted: Hosted, error: Error): void {
    hosted.failure ??= error
    const { place } = hosted
    if (this.hosted.get(place.shard) !== hosted || hosted.closing !== undefined) return
    // Whoever waits for the opening hears of it, and reports.
    const isOpening = hosted.backup === undefined && !hosted.isServed
    void this.close(hosted)
    if (isOpening) return
    void this.turns.run(place.shard, async () => {
      if (this.hosted.get(place.shard) !== hosted) return
      await this.letGo(hosted, 'it has failed')
      // Then opening it again does help.
      const { directory } = place
      const isRebuilt =
        hosted.isServed && (await noteStateDamage(directory, error).catch(() => false))
      this.reportFailure(place, error, !isRebuilt && isDamage(error))
    })
  }

  private reportFailure(
    { shard, copy, hosting }: Hosting,
    error: Error,
    damaged: boolean = isDamage(error),
  ): void {
    this.ended.note(shard, hosting)
    this.ports.logger.error({ shard, copy, hosting, err: error }, 'shard failed')
    this.ports.report({ type: 'failed', shard, hosting, reason: error.message, damaged })
  }

  /** Lets go of a copy: what was taken is answered, what comes now is answered «moved». */
  async release(shard: number, hosting: number): Promise<void> {
    for (const task of this.tasks.get(shard) ?? []) {
      if (task.hosting === hosting) task.isCancelled = true
    }
    const hosted = this.hosted.get(shard)
    // An opening that waits for followers ends by this.
    if (hosted?.place.hosting === hosting) void this.close(hosted)
    await this.turns.run(shard, async () => {
      const now = this.hosted.get(shard)
      if (now?.place.hosting === hosting) await this.letGo(now, 'it is released')
      this.ended.note(shard, hosting)
      this.ports.report({ type: 'released', shard, hosting })
    })
  }

  private async letGo(hosted: Hosted, reason: string): Promise<void> {
    const { shard } = hosted.place
    await this.close(hosted, reason)
    if (this.hosted.get(shard) === hosted) this.hosted.delete(shard)
  }

  /** Begins to close the copy; what is served of it is not any more. */
  private close(hosted: Hosted, reason: string = 'it is closed'): Promise<void> {
    const { shard } = hosted.place
    if (this.served.get(shard) === hosted) this.served.delete(shard)
    if (hosted.backup !== undefined) this.ports.leave(shard, reason)
    // Until an opening has come this far, there is nothing to close.
    const open = hosted.shard ?? hosted.backup
    if (open === undefined || hosted.closing !== undefined) return hosted.closing ?? DONE
    // Its followers are needed until what it has taken is committed: it lets go of them itself.
    hosted.closing = open.close().finally(() => {
      if (hosted.shard !== undefined) this.ports.onPrimaryGone(shard, reason)
    })
    return hosted.closing
  }

  /** To be called a few times a second. */
  onTick(): void {
    for (const { shard, backup, closing } of this.hosted.values()) {
      if (closing === undefined) (shard ?? backup)?.onTick()
    }
    this.snapshots.onTick(this.served.values())
  }

  shardReports(): ShardReport[] {
    return [...this.served.values()].map(({ shard }) => shard.report())
  }

  copyReports(): CopyReport[] {
    return [...this.hosted.values()].flatMap(({ backup }) => backup?.report() ?? [])
  }

  /** Answers what was taken and closes every primary. No order is carried out any more. */
  async closePrimaries(): Promise<void> {
    this.isClosing = true
    for (const tasks of this.tasks.values()) for (const task of tasks) task.isCancelled = true
    const primaries = [...this.hosted.values()].filter(({ backup }) => backup === undefined)
    await Promise.all(primaries.map((hosted) => this.close(hosted)))
  }

  /** Closes the rest. */
  async closeAll(): Promise<void> {
    await this.turns.settled()
    await Promise.all(
      [...this.hosted.values()].map((hosted) => this.letGo(hosted, 'the child ends')),
    )
    await this.volumes.close()
  }
}

const DONE = Promise.resolve()
