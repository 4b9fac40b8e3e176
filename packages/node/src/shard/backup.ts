/**
 * A copy of a shard that follows a primary: the same log, byte for byte, and what is committed of it
 * in memory, so that it can be primary within milliseconds.
 *
 *   primary → frames → log (fsync) → tail → overlay and sessions → state (LMDB)
 *                                      ↑ only what the primary says is committed
 *
 * Frames that are not known to be committed may have to be cut: they wait in the tail, and nothing
 * reads them. It ends no entry by its own clock; the primary does, through the log.
 */
import type { ReadCall, WireWriter } from '@kv/protocol'
import type { CopyReport } from '../link/control.js'
import { BackupLog } from './backup/backup-log.js'
import { Conversation, type PrimaryLine } from './backup/conversation.js'
import { FrameQueue } from './backup/frame-queue.js'
import { Rebuild } from './backup/rebuild.js'
import { Tail } from './backup/tail.js'
import type { Clock } from './clock.js'
import { CommittedReads } from './committed-reads.js'
import type { HistoryLimits } from './feed/history.js'
import { LogKeeper } from './feed/log-keeper.js'
import { LogFailed } from './log/errors.js'
import type { LogFrame } from './log/frame.js'
import { lastRevisionOf } from './log/frame.js'
import type { Replica, ReplicaOptions } from './replica.js'
import { closeReplica, openBackupReplica } from './replica.js'
import type { ToFollower } from './replication/messages.js'
import type { Pace } from './sequencer/sequencer.js'
import { writeAtOnce } from './sequencer/sequencer.js'
import type { SnapshotBegin } from './snapshot/parts.js'
import { replaceWithBuilt } from './snapshot/snapshot-build.js'
import { applyOverlay } from './state/applier.js'
import { StateDamage, stateDamageIn } from './state/stored-entry.js'

/** Memory for frames that are not known to be committed; beyond it, no more are appended. */
export const TAIL_BYTES_MAX: number = 33_554_432

export interface BackupOptions extends ReplicaOptions {
  readonly copy: number
  readonly hosting: number
  readonly clock: Clock
  /** When frames are written; at once unless said otherwise. */
  readonly pace?: Pace
  /** How far back the log is kept for watchers, should it become primary. */
  readonly history?: HistoryLimits
  /** The copy can't follow any more: its log or state has failed. It is to be closed. */
  readonly onFailure: (error: Error) => void
}

export class Backup {
  readonly id: number
  readonly copy: number
  readonly hosting: number
  private readonly options: BackupOptions
  private replica: Replica
  private readonly log: BackupLog
  private tail: Tail
  private reads: CommittedReads
  private keeper: LogKeeper
  private conversation: Conversation | undefined
  /** A replica is being built from the primary's snapshot. */
  private rebuild: Rebuild | undefined
  private highestEpoch: number
  private applying: Promise<void> | undefined
  private applyError: Error | undefined
  private failure: Error | undefined
  /** `replacing`: what was there is closed, and what comes in its place is not open yet. */
  private role: 'following' | 'replacing' | 'promoted' | 'closed' = 'following'
  private closing: Promise<void> | undefined

  private constructor(options: BackupOptions, replica: Replica, tail: FrameQueue) {
    this.id = options.shard
    this.copy = options.copy
    this.hosting = options.hosting
    this.options = options
    this.replica = replica
    this.tail = this.newTail(tail, replica)
    this.highestEpoch = replica.log.lastEpoch
    this.reads = this.newReads(replica)
    this.keeper = this.newKeeper(replica)
    this.log = new BackupLog(replica.log, {
      replica: options,
      pace: options.pace ?? writeAtOnce,
      now: () => options.clock.now(),
      hasRoom: () => this.tail.bytes < TAIL_BYTES_MAX,
      stateRevision: () => this.replica.state.marks.applyingRevision,
      onDurable: (frame) => {
        this.onDurable(frame)
      },
      onNoRoom: (error) => {
        this.conversation?.break(error.message)
      },
      onFailure: (error) => {
        this.fail(error)
      },
    })
  }

  /** Opens or creates the copy. Rejects with what `isDamage` tells apart. */
  static async open(options: BackupOptions): Promise<Backup> {
    const tail = new FrameQueue()
    const replica = await openBackupReplica(options, (frame) => {
      tail.push(frame)
    })
    return new Backup(options, replica, tail)
  }

  private newTail(frames: FrameQueue, replica: Replica): Tail {
    return new Tail(frames, replica, {
      onReplayed: () => {
        this.log.resume()
      },
      onError: (error) => {
        this.fail(stateDamageIn(error) ?? error)
      },
    })
  }

  private newReads(replica: Replica): CommittedReads {
    return new CommittedReads(replica, (damage) => {
      this.fail(damage)
    })
  }

  private newKeeper({ log }: Pick<Replica, 'log'>): LogKeeper {
    return new LogKeeper(log, this.options.clock, this.options.history)
  }

  /**
   * Begins a conversation with a primary; the one before ends. Frames must come with room for a
   * header before their bodies, in memory that nobody else uses.
   */
  follow(line: PrimaryLine): { onMessage(message: ToFollower): void; end(): void } {
    this.endConversation()
    const conversation = new Conversation(line)
    if (this.role !== 'following' || this.failure !== undefined) {
      conversation.break('the copy does not follow any more')
      return conversation
    }
    this.conversation = conversation
    void this.settle().then(() => {
      if (this.conversation === conversation && this.failure === undefined) this.begin(conversation)
    })
    return conversation
  }

  /** Resolves when nothing that a conversation began is under way. Never rejects. */
  private async settle(): Promise<void> {
    const { rebuild } = this
    await this.log.settle()
    await rebuild?.abandon()
    if (this.rebuild === rebuild) this.rebuild = undefined
  }

  private begin(conversation: Conversation): void {
    conversation.begin(this.highestEpoch, {
      log: this.log,
      hosting: this.hosting,
      appliedRevision: () =>
        Math.max(this.tail.replayedRevision, this.replica.state.marks.applyingRevision),
      cut: (after) => {
        void this.log.cut(after).then(() => {
          this.onCut(conversation, after.revision)
        })
      },
      append: (frame) => {
        if (this.log.takesMore) this.log.append(frame)
        else conversation.break('more frames are unsynced than a primary may send')
      },
      onCommit: (revision) => {
        this.tail.learnCommit(revision)
      },
      beginSnapshot: (begin) => {
        this.rebuild = this.newRebuild(conversation, begin)
      },
      takePage: (page) => {
        this.rebuild?.takePage(page)
      },
      endSnapshot: (end) => {
        this.rebuild?.end(end)
      },
    })
  }

  private newRebuild(conversation: Conversation, begin: SnapshotBegin): Rebuild {
    return new Rebuild(begin, {
      replica: this.options,
      onPageTaken: () => {
        conversation.onPageTaken()
      },
      onBuilt: async () => {
        await this.replace()
        if (this.failure === undefined) conversation.onRebuilt()
      },
      onFailed: (reason) => {
        conversation.break(reason)
      },
    })
  }

  /** Puts the replica that was built in the place of the one that is open. Never rejects. */
  private async replace(): Promise<void> {
    if (this.role !== 'following' || this.failure !== undefined) return
    this.role = 'replacing'
    try {
      this.tail.end()
      await this.applying?.catch(() => undefined)
      await closeReplica({ ...this.replica, log: this.log.current })
      await replaceWithBuilt(this.options.directory)
      const tail = new FrameQueue()
      const options = { ...this.options, create: false, isCatchingUp: true }
      this.take(await openBackupReplica(options, (frame) => tail.push(frame)), tail)
    } catch (error) {
      // Nothing is open any more.
      this.role = 'closed'
      this.fail(error as Error)
    }
  }

  private take(replica: Replica, tail: FrameQueue): void {
    this.role = 'following'
    this.replica = replica
    this.tail = this.newTail(tail, replica)
    this.reads = this.newReads(replica)
    this.keeper = this.newKeeper(replica)
    this.log.replace(replica.log)
    this.applyError = undefined
  }

  private endConversation(): void {
    if (this.conversation === undefined) return
    this.highestEpoch = Math.max(this.highestEpoch, this.conversation.highestEpoch)
    this.conversation.end()
    this.conversation = undefined
  }

  private onCut(conversation: Conversation, revision: number): void {
    if (this.failure !== undefined) return
    this.tail.cutAfter(revision)
    this.keeper = this.newKeeper({ log: this.log.current })
    if (this.conversation === conversation) conversation.onCut()
  }

  private onDurable(frame: LogFrame): void {
    const revision = lastRevisionOf(frame)
    this.tail.push(frame)
    this.keeper.onFrame(revision, frame.body.length)
    this.conversation?.onDurable(revision)
  }

  private fail(error: Error): void {
    if (this.failure !== undefined) return
    this.failure = error
    this.tail.end()
    this.conversation?.break(error.message)
    this.options.onFailure(error)
  }

  /** Memory that lives on until it is applied, or committed. */
  get overlayBytes(): number {
    const { overlay } = this.replica
    return overlay.bytes + this.tail.memoryBytes + this.log.waitingBytes
  }

  /** What the next `apply` would take along. */
  get applicableBytes(): number {
    return this.replica.overlay.applicableBytes
  }

  get isApplied(): boolean {
    return this.replica.overlay.isEmpty
  }

  /** Why the last attempt to apply failed, until one succeeds. */
  get applyFailure(): Error | undefined {
    return this.applyError
  }

  /** Whether it may answer reads: it is in sync, and its state is of one revision (no snapshot's). */
  get isReadable(): boolean {
    if (this.conversation?.isInSync !== true || this.failure !== undefined) return false
    return this.tail.replayedRevision >= this.replica.state.marks.applyingRevision
  }

  /** Answers a read from what is known to be committed: it may be behind the primary. */
  read(call: ReadCall, nowMs: number, writer: WireWriter): number {
    if (this.role === 'replacing') throw new Error('the copy is being rebuilt')
    return this.reads.answer(call, nowMs, writer)
  }

  /** Sorts a part of what ordered reads need. Returns whether more is left to do. */
  sortSome(): boolean {
    return this.reads.sortSome()
  }

  /** Moves what is committed into the stored state, and lets go of the log that held it. */
  apply(): Promise<void> {
    this.applying ??= this.applyOnce().finally(() => {
      this.applying = undefined
    })
    return this.applying
  }

  private async applyOnce(): Promise<void> {
    const { overlay, state, sessions } = this.replica
    if (overlay.isEmpty || this.role === 'closed' || this.role === 'replacing') return
    try {
      await applyOverlay(overlay, state, {
        sessions,
        timeMs: this.tail.lastTimeMs,
        log: this.log.current,
      })
      await this.dropLog()
      this.applyError = undefined
    } catch (error) {
      this.applyError = error as Error
      const damage = stateDamageIn(error)
      if (damage !== undefined) this.fail(damage)
      throw error
    }
  }

  private async dropLog(): Promise<void> {
    // Whoever has the replica, or puts another log in its place, sees to it.
    if (this.role !== 'following' || this.log.isCutting) return
    const isShort = this.log.current.spaceError !== undefined || this.applyError !== undefined
    await this.keeper.drop(this.replica.state.marks.appliedRevision, isShort)
  }

  /** To be called a few times a second, until it is closed or has been promoted. */
  onTick(): void {
    if (this.role === 'closed' || this.role === 'replacing' || this.failure !== undefined) return
    this.log.onTick()
    if (this.applying !== undefined) return
    // Tried again at the next tick: a log that has failed says so to its next append.
    this.dropLog().catch(() => undefined)
  }

  report(): CopyReport {
    const { state } = this.replica
    const log = this.log.current
    return {
      shard: this.id,
      copy: this.copy,
      epoch: log.lastEpoch,
      revision: log.lastRevision,
      committedRevision: this.tail.replayedRevision,
      appliedRevision: state.marks.appliedRevision,
      stateBytes: this.role === 'replacing' ? 0 : state.bytesOnDisk,
      logBytes: log.bytesOnDisk,
      overlayBytes: this.overlayBytes,
      reads: this.reads.count,
    }
  }

  /**
   * Ends the conversation, finishes the append in hand, and takes the whole tail into the overlay:
   * all of it may have been acknowledged. The replica is the caller's, who closes it; of this object
   * nothing is left to do. Rejects if the copy has failed: then it is to be closed as ever.
   */
  async promote(): Promise<Replica> {
    if (this.role !== 'following') throw new LogFailed('The copy is closed or promoted already.')
    this.endConversation()
    await this.settle()
    const { lastRevision } = this.log.current
    const { applyingRevision } = this.replica.state.marks
    if (lastRevision < applyingRevision) {
      throw new StateDamage(`the log ends at ${lastRevision}, before ${applyingRevision}`)
    }
    await this.tail.finish()
    if (this.failure !== undefined) throw this.failure
    if (this.role !== 'following') throw new LogFailed('The copy was closed.')
    this.role = 'promoted'
    const { log, tail, applying } = this
    return {
      ...this.replica,
      log: log.current,
      lastTimeMs: tail.lastTimeMs,
      ...(applying === undefined ? {} : { applying }),
    }
  }

  /** Ends the conversation, waits for what is under way, and lets go of the directory. */
  close(): Promise<void> {
    this.closing ??= this.role === 'promoted' ? Promise.resolve() : this.closeAll()
    return this.closing
  }

  private async closeAll(): Promise<void> {
    this.endConversation()
    await this.rebuild?.abandon()
    if (this.role === 'closed') return
    this.role = 'closed'
    this.endConversation()
    this.tail.end()
    await this.log.settle()
    await this.applying?.catch(() => undefined)
    await closeReplica({ ...this.replica, log: this.log.current })
  }
}
