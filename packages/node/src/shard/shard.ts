/**
 * A shard as its primary serves it: one ordered, durable log; everything else is a view of it.
 *
 *   call → sequencer → log (fsync) → overlay → state (LMDB)
 *                                      ↑ reads: overlay, then state
 *
 * It knows nothing of connections, batches or processes; `child/` brings those. Reads are answered
 * at once from what is committed, writes through an `Answers` once they are durable.
 */
import type { ReadCall, WireWriter, WriteCall } from '@kv/protocol'
import type { ShardReport } from '../link/control.js'
import type { Answer } from './answer.js'
import { encoded, unreadable } from './answer.js'
import { CommittedReads } from './committed-reads.js'
import { LogKeeper } from './feed/log-keeper.js'
import { Watchers } from './feed/watchers.js'
import { applyOverlay } from './state/applier.js'
import type { Clock } from './clock.js'
import { ExpirySweep } from './state/expiry.js'
import type { Group } from './sequencer/group.js'
import type { Held } from './held.js'
import { visibleAt } from './held.js'
import type { LogPosition } from './log/position.js'
import { EPOCH_JUMP, logOfEpoch } from './primary/epoch-jump.js'
import { ReplicatedLog } from './primary/replicated-log.js'
import type { Replica } from './replica.js'
import { closeReplica, openReplica } from './replica.js'
import type { Origin } from './sequencer/sequencer.js'
import { Sequencer, writeAtOnce } from './sequencer/sequencer.js'
import type { ShardOptions } from './shard-options.js'
import type { SnapshotSource } from './snapshot/parts.js'
import type { Taken } from './snapshot/snapshot-keeper.js'
import { latestOf, SnapshotKeeper } from './snapshot/snapshot-keeper.js'
import { SnapshotReader } from './snapshot/snapshot-reader.js'
import { stateDamageIn } from './state/stored-entry.js'
import { WriteTimeWindows } from './write-times.js'

export type { ShardOptions }

/** How long a shard that is closed waits for the other copies to sync what it has taken. */
const CLOSE_COMMIT_MS_MAX = 1_000

export class Shard {
  readonly id: number
  readonly epoch: number
  /** Where the other copies follow; `undefined` where there is only this one. */
  readonly replication: ReplicatedLog | undefined
  /** Who is told of what commits. */
  readonly watchers: Watchers
  /** Takes snapshots into files, where that is wanted. */
  readonly snapshots: SnapshotKeeper | undefined
  private readonly replica: Replica
  private readonly clock: Clock
  private readonly onFailure: (error: Error) => void
  private failure: Error | undefined
  /** What was inherited is committed. */
  private isServing = false
  private closing: Promise<void> | undefined
  private readonly sequencer: Sequencer
  private readonly committed: CommittedReads
  private readonly sweep: ExpirySweep
  private readonly keeper: LogKeeper
  private applying: Promise<void> | undefined
  private applyError: Error | undefined
  private writes = 0
  private readonly writeTimes = new WriteTimeWindows(performance.now())

  private constructor(options: ShardOptions, replica: Replica, latest: Taken | undefined) {
    this.id = options.shard
    this.epoch = options.epoch
    this.replica = replica
    this.clock = options.clock
    this.onFailure = options.onFailure
    this.applying = replica.applying
      ?.catch(() => undefined)
      .finally(() => {
        this.applying = undefined
      })
    const onFailure = (error: Error): void => {
      this.fail(error)
    }
    this.replication = this.newReplication(options)
    this.committed = new CommittedReads(replica, onFailure)
    this.sweep = new ExpirySweep(replica.overlay, replica.state)
    replica.sessions.begin(this.clock.now())
    this.keeper = new LogKeeper(replica.log, options.clock, options.history)
    this.watchers = new Watchers({
      epoch: options.epoch,
      jump: options.jumps === true ? EPOCH_JUMP : 0,
      log: replica.log,
      sortSome: () => this.sortSome(),
      page: (request, onEntry) =>
        this.committed.page({ ...request, reverse: false, nowMs: this.clock.now() }, onEntry),
      visible: (key) => visibleAt(this.committed.find(key), this.clock.now()),
      onError: onFailure,
    })
    this.snapshots = this.newSnapshots(options, latest)
    const { pace = writeAtOnce } = options
    const { log, lastRevision } = logOfEpoch(options, this.replication ?? replica.log, replica.log)
    this.sequencer = new Sequencer({
      log,
      pace: this.replication?.pace(pace) ?? pace,
      epoch: options.epoch,
      lastRevision,
      lastTimeMs: replica.lastTimeMs,
      sessions: replica.sessions,
      now: () => this.clock.now(),
      committed: (key) => this.committed.find(key),
      get earliestEndMs() {
        return Math.min(replica.overlay.earliestEndMs, replica.state.earliestEndMs)
      },
      firstCommitted: (range) => this.committed.firstKeys(range, this.clock.now()),
      onCommit: (group) => {
        this.commit(group)
      },
      onFailure,
    })
  }

  private newReplication(options: ShardOptions): ReplicatedLog | undefined {
    if (options.replication === undefined) return undefined
    return new ReplicatedLog(options.replication, {
      epoch: options.epoch,
      log: this.replica.log,
      now: () => this.clock.now(),
      openSnapshot: (committed) => this.openSnapshot(committed),
      onFailure: (error) => {
        this.fail(error)
      },
    })
  }

  private newSnapshots(
    options: ShardOptions,
    latest: Taken | undefined,
  ): SnapshotKeeper | undefined {
    if (options.snapshots === undefined) return undefined
    const { log } = this.replica
    const committedRevision = (): number => this.watchers.committedRevision
    // With one copy, what is in the log is committed.
    const openSource = (): SnapshotSource => this.openSnapshot(() => log.last)
    const ports = { ...options, log, committedRevision, openSource }
    return new SnapshotKeeper(options.snapshots, ports, latest)
  }

  private openSnapshot(committed: () => LogPosition): SnapshotSource {
    const { log, sessions } = this.replica
    const view = {
      epochs: () => log.epochTable,
      sessions,
      sortSome: () => this.sortSome(),
      page: this.committed.page.bind(this.committed),
      committedRevision: () => this.watchers.committedRevision,
      timeMs: () => this.sequencer.recordTimeMs,
      onError: (error: Error) => {
        this.fail(error)
      },
    }
    return new SnapshotReader(view, committed)
  }

  /** Opens the replica as primary of `epoch`. Resolves once its inherited log is committed. */
  static async open(options: ShardOptions): Promise<Shard> {
    const replica = options.replica ?? (await openReplica(options))
    const { lastEpoch } = replica.log
    if (options.epoch <= lastEpoch) {
      await closeReplica(replica)
      throw new Error(`epoch ${options.epoch} is over: the log has reached epoch ${lastEpoch}`)
    }
    const shard = new Shard(options, replica, await latestOf(options, replica.log))
    options.onOpening?.(shard)
    try {
      await shard.beginEpoch()
    } catch (error) {
      await shard.close()
      throw shard.failure ?? error
    }
    shard.isServing = true
    return shard
  }

  private beginEpoch(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.sequencer.beginEpoch({
        answer: (_position, answer) => {
          if (answer === true) resolve()
          else reject(new Error(`shard ${this.id} could not begin epoch ${this.epoch}`))
        },
      })
    })
  }

  /** Memory that lives on until it is applied, or durable. */
  get overlayBytes(): number {
    return this.replica.overlay.bytes + this.sequencer.pendingBytes
  }

  get logBacklogBytes(): number {
    return this.sequencer.backlogBytes
  }

  /** Time of the newest frame, in epoch milliseconds. */
  get recordTimeMs(): number {
    return this.sequencer.recordTimeMs
  }

  /** What the next `apply` would take along. */
  get applicableBytes(): number {
    return this.isServing ? this.replica.overlay.applicableBytes : 0
  }

  /** Nothing is left to apply, or may be: what was inherited could still be cut. */
  get isApplied(): boolean {
    return !this.isServing || this.replica.overlay.isEmpty
  }

  /** Why the last attempt to apply failed, until one succeeds. */
  get applyFailure(): Error | undefined {
    return this.applyError
  }

  /** Answers a read from what is committed. Scans and counts need `sortSome` to have finished. */
  read(call: ReadCall, nowMs: number, writer: WireWriter): number {
    return this.committed.answer(call, nowMs, writer)
  }

  /** Sorts a part of what ordered reads need. Returns whether more is left to do. */
  sortSome(): boolean {
    return this.committed.sortSome()
  }

  /** Damage is never served: neither is anything else of this replica (P8). */
  private notice(error: unknown): void {
    const damage = stateDamageIn(error)
    if (damage !== undefined) this.fail(damage)
  }

  private fail(error: Error): void {
    if (this.failure !== undefined || this.closing !== undefined) return
    this.failure = error
    // Whoever waits for it to open learns of it in this way.
    if (!this.isServing) this.replication?.giveUp(error)
    this.onFailure(error)
  }

  /** Takes a write; `flush` must follow in the same turn. */
  submit(call: WriteCall, origin: Origin): void {
    this.writes += 1
    this.sequencer.submit(call, origin)
  }

  /**
   * Answers a read after the writes submitted before it. One of a single key sees none submitted
   * after it; a scan or a count sees what has committed when it is answered.
   */
  readInOrder(call: ReadCall, origin: Origin): void {
    if ('key' in call) {
      const found = visibleAt(this.sequencer.newest(call.key), origin.nowMs)
      const answer = encoded((writer) => {
        this.committed.answerKey(call.type, found, writer)
      })
      this.sequencer.readInOrder(origin.answers, origin.position, answer)
      return
    }
    const answer = (): Answer => {
      try {
        return encoded((writer) => {
          this.read(call, this.clock.now(), writer)
        })
      } catch (error) {
        return unreadable(this.id, error)
      }
    }
    this.sequencer.readInOrder(origin.answers, origin.position, answer)
  }

  /** Hands what was submitted to the log. */
  flush(): void {
    this.sequencer.flush()
  }

  private commit(group: Group): void {
    const { overlay } = this.replica
    for (let index = 0; index < group.keys.length; index += 1) {
      overlay.put(group.keys[index] as string, group.helds[index] as Held)
    }
    overlay.committed(group.lastRevision, group.memoryBytes)
    this.keeper.onFrame(group.lastRevision, group.bodyBytes)
    this.snapshots?.onFrame(group.bodyBytes)
    this.watchers.onCommit(group)
    this.writeTimes.record(group.sinceMs, performance.now(), group.count)
  }

  /** What is due from time to time: entries end, and the log that was kept long enough goes. */
  onTick(): void {
    this.replication?.onTick()
    this.snapshots?.onTick()
    // What a journal could not sync is brought to the disk by opening the log again.
    if (this.replica.log.failure !== undefined) this.fail(this.replica.log.failure)
    if (this.isServing) this.expireSome()
    if (this.applying !== undefined) return
    // Tried again at the next tick: a log that has failed says so to its next append.
    this.dropLog().catch(() => undefined)
  }

  private dropLog(): Promise<void> {
    const { state, log } = this.replica
    const isShort = log.spaceError !== undefined || this.applyError !== undefined
    const { replication, snapshots } = this
    const wanted = [replication?.neededRevision, snapshots?.neededRevision] as const
    return this.keeper.drop(state.marks.appliedRevision, isShort, ...wanted)
  }

  /**
   * Ends entries whose time is over, and sessions that are idle, through the log. A bounded number
   * per call.
   */
  expireSome(): void {
    this.sequencer.evictSessions()
    try {
      const due = this.sweep.due(this.clock.now())
      if (due.length > 0) this.sequencer.expire(due)
    } catch (error) {
      if (stateDamageIn(error) === undefined) throw error
      this.notice(error)
    }
  }

  /** Moves what is committed into the stored state, and lets go of the log that held it. */
  apply(): Promise<void> {
    this.applying ??= this.applyOnce().finally(() => {
      this.applying = undefined
    })
    return this.applying
  }

  private async applyOnce(): Promise<void> {
    const { overlay, state, sessions, log } = this.replica
    if (!this.isServing) return
    try {
      await applyOverlay(overlay, state, { sessions, timeMs: this.sequencer.recordTimeMs, log })
      await this.dropLog()
      this.applyError = undefined
    } catch (error) {
      this.applyError = error as Error
      this.notice(error)
      throw error
    }
  }

  report(): ShardReport {
    const { overlay, state, log } = this.replica
    const blocked = (log.spaceError ?? this.applyError)?.message ?? this.replication?.waitsFor
    return {
      shard: this.id,
      epoch: this.epoch,
      revision: this.watchers.committedRevision,
      appliedRevision: state.marks.appliedRevision,
      keys: state.entryCount + overlay.size,
      stateBytes: state.bytesOnDisk,
      logBytes: log.bytesOnDisk,
      overlayBytes: this.overlayBytes,
      reads: this.committed.count,
      writes: this.writes,
      ...this.writeTimes.read(performance.now()),
      ...(blocked === undefined ? {} : { writesBlocked: blocked }),
    }
  }

  /** Takes no more writes, waits for those it took, and lets go of the directory. */
  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  private async closeAll(): Promise<void> {
    const stopWaiting = this.waitForCopies()
    await this.sequencer.close()
    stopWaiting()
    this.replication?.close()
    this.watchers.end()
    await Promise.all([this.snapshots?.close(), this.applying?.catch(() => undefined)])
    await closeReplica(this.replica)
  }

  /** Copies that do not sync must not keep the shard from being served elsewhere. */
  private waitForCopies(): () => void {
    const { replication } = this
    if (replication === undefined) return () => undefined
    const isWorthIt = this.isServing && this.failure === undefined
    const graceMs = isWorthIt ? CLOSE_COMMIT_MS_MAX : 0
    const timer = setTimeout(() => {
      replication.giveUp(this.failure)
    }, graceMs)
    return () => {
      clearTimeout(timer)
    }
  }
}
