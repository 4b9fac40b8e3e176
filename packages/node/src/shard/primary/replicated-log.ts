/**
 * A primary's log when the shard has several copies: what is appended counts once every copy that must
 * hold it has synced it (P1). A frame goes to the followers when its write begins here.
 *
 *   sequencer → append ─┬→ log (fsync) ──────┬→ commit → resolved
 *                       └→ followers (fsync) ┘
 *
 * One frame is under way at a time, as ever: the next group gathers until this one is committed.
 */
import { LogFailed } from '../log/errors.js'
import { lastRevisionOf, type FrameMeta, type LogFrame } from '../log/frame.js'
import type { AppendOptions, Log } from '../log/log.js'
import { HUNG_APPEND_MS } from '../log/options.js'
import type { LogPosition } from '../log/position.js'
import type { SetChange, StoredSet } from '../replication/in-sync-set.js'
import type { ToFollower, ToPrimary } from '../replication/messages.js'
import { Replicator } from '../replication/replicator.js'
import type { Pace } from '../sequencer/sequencer.js'
import type { SnapshotSource } from '../snapshot/parts.js'
import { CommitNotice } from './commit-notice.js'
import { FollowerReads } from './follower-reads.js'

/** What a shard of several copies is told when it is opened. */
export interface ReplicationOptions {
  /** The primary's own copy. */
  readonly copy: number
  readonly inSync: StoredSet
  /** While fewer copies are in sync, writes wait. */
  readonly minInSync: number
  /** Asks for another set; `onStored` must follow, granted or not. */
  ask(change: SetChange, version: number): void
}

export interface ReplicatedLogPorts {
  readonly epoch: number
  readonly log: Log
  now(): number
  /** `committed` tells the last committed frame at the moment of the call. */
  openSnapshot(committed: () => LogPosition): SnapshotSource
  /** The log can't be read. */
  onFailure(error: Error): void
}

/** The way to a follower. */
export interface FollowerLine {
  send(message: ToFollower): void
  /** The conversation is over, a new one may begin. Called at most once, and nothing after it. */
  broken(reason: string): void
}

/** What is under way in the log, or waits for followers. */
interface Appending {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly begunAtMs: number
  /** Once its write has begun. */
  frame: LogFrame | undefined
  isWritten: boolean
}

export class ReplicatedLog {
  private readonly ports: ReplicatedLogPorts
  private readonly options: ReplicationOptions
  private readonly log: Log
  private readonly replicator: Replicator
  private readonly reads: FollowerReads
  private readonly notice: CommitNotice
  private readonly lines = new Map<number, FollowerLine>()
  private readonly appendOptions: AppendOptions
  private appending: Appending | undefined
  /** Ends with the write under way here and never rejects. */
  private writing: Promise<void> = Promise.resolve()
  /** Why nothing that is not committed yet will be waited for. */
  private givenUp: Error | undefined
  private isClosed = false

  constructor(options: ReplicationOptions, ports: ReplicatedLogPorts) {
    const { log } = ports
    this.options = options
    this.ports = ports
    this.log = log
    this.reads = new FollowerReads(log)
    this.notice = new CommitNotice(() => {
      this.replicator.tellCommit()
    })
    this.appendOptions = { onBegin: (frame) => this.onBegin(frame) }
    this.replicator = this.newReplicator()
  }

  private newReplicator(): Replicator {
    const { options, ports, log } = this
    const { copy: self, inSync, minInSync } = options
    return new Replicator(
      { epoch: ports.epoch, self, inSync, minInSync },
      {
        log: {
          get last() {
            return log.last
          },
          get epochs() {
            return log.epochTable
          },
        },
        findPosition: (_copy, revision, onFound) => {
          this.listen(log.positionAtOrBefore(revision), onFound)
        },
        read: (copy, fromRevision, onRead) => {
          this.listen(this.reads.read(copy, fromRevision), onRead)
        },
        openSnapshot: (_copy, committed) => ports.openSnapshot(committed),
        send: (copy, message) => this.lines.get(copy)?.send(message),
        ask: (change, version) => {
          if (!this.isClosed) options.ask(change, version)
        },
        onCommit: (revision) => {
          this.onCommit(revision)
        },
        onBroken: (copy, reason) => {
          this.breakLine(copy, reason)
        },
      },
    )
  }

  /** What is read of the log after the end is of no use, and its errors mean nothing. */
  private listen<Found>(found: Promise<Found>, onFound: (found: Found) => void): void {
    found.then(
      (what) => {
        if (!this.isClosed) onFound(what)
      },
      (error: unknown) => {
        if (!this.isClosed) this.ports.onFailure(error as Error)
      },
    )
  }

  /** The log is to be kept from here on for those who follow. */
  get neededRevision(): number {
    return this.replicator.neededRevision
  }

  /** Why nothing is committed at the moment, if that is so. */
  get waitsFor(): string | undefined {
    const { members } = this.replicator
    const { minInSync } = this.options
    if (members.length >= minInSync) return undefined
    return `${members.length} of at least ${minInSync} copies are in sync: writes wait`
  }

  get spaceError(): Error | undefined {
    return this.log.spaceError
  }

  hasRoomFor(bodyBytes: number): boolean {
    return this.log.hasRoomFor(bodyBytes)
  }

  /** As `Log.append`, but resolves when the frame is committed. */
  append(
    buffer: Buffer,
    bodyBytes: number,
    meta: FrameMeta,
    { jump = false }: Pick<AppendOptions, 'jump'> = {},
  ): Promise<void> {
    if (this.givenUp !== undefined) return Promise.reject(this.givenUp)
    return new Promise((resolve, reject) => {
      const begunAtMs = this.ports.now()
      this.appending = { resolve, reject, begunAtMs, frame: undefined, isWritten: false }
      const options = jump ? { ...this.appendOptions, jump } : this.appendOptions
      this.writing = this.log.append(buffer, bodyBytes, meta, options).then(
        () => {
          this.onWritten()
        },
        (error: unknown) => {
          this.settle(error as Error)
        },
      )
    })
  }

  /**
   * The child's pace counts writes of its own disk, not those of others: two children that wait for
   * each other's rounds would only go on when their patience ends.
   */
  pace(pace: Pace): Pace {
    return (append) => {
      pace(() => (append() === undefined ? undefined : this.writing))
    }
  }

  private onBegin(frame: LogFrame): void {
    this.appending!.frame = frame
    this.notice.onFrame()
    this.replicator.onAppending(frame)
  }

  private onWritten(): void {
    const { appending } = this
    if (appending?.frame === undefined) return
    appending.isWritten = true
    this.replicator.onAppended(appending.frame)
    if (this.givenUp !== undefined) this.settle(this.givenUp)
  }

  private onCommit(revision: number): void {
    this.notice.onCommit(revision, this.lines.size > 0)
    const { appending } = this
    if (appending?.frame === undefined || !appending.isWritten) return
    if (lastRevisionOf(appending.frame) <= revision) this.settle(undefined)
  }

  private settle(error: Error | undefined): void {
    const { appending } = this
    this.appending = undefined
    if (error === undefined) appending?.resolve()
    else appending?.reject(error)
  }

  /** A copy follows: its conversation begins with a greeting. One it had before is over. */
  attach(copy: number, line: FollowerLine): { onMessage(message: ToPrimary): void; end(): void } {
    this.breakLine(copy, 'another conversation of this copy has begun')
    if (this.isClosed) {
      line.broken('the shard is closed')
    } else {
      this.lines.set(copy, line)
      this.replicator.connect(copy)
    }
    return {
      onMessage: (message) => {
        if (this.lines.get(copy) !== line) return
        this.replicator.onMessage(copy, message)
        if (message.type === 'joined') this.notice.onFollower()
      },
      end: () => {
        if (this.lines.get(copy) !== line) return
        this.lines.delete(copy)
        this.reads.end(copy)
        this.replicator.disconnect(copy)
      },
    }
  }

  private breakLine(copy: number, reason: string): void {
    const line = this.lines.get(copy)
    if (line === undefined) return
    this.lines.delete(copy)
    this.reads.end(copy)
    line.broken(reason)
  }

  /** The coordinator's answer to `ask`, or what it has decided by itself. */
  onStored(set: StoredSet): void {
    this.replicator.onStored(set)
  }

  /** To be called a few times a second. */
  onTick(): void {
    if (this.isClosed) return
    const nowMs = this.ports.now()
    this.replicator.onTick(nowMs)
    const { appending } = this
    if (appending === undefined || appending.isWritten) return
    // Alone, a slow disk is better than none; with others there is one to go to (hard-parts 5).
    if (nowMs - appending.begunAtMs <= HUNG_APPEND_MS || this.replicator.members.length < 2) return
    this.log.abandon(new Error(`an append took longer than ${HUNG_APPEND_MS} ms`))
  }

  /**
   * Waits no longer for followers. What is written here and not committed may be or become part of the
   * log: what its append rejects with must be «unknown» to those who wait for it.
   */
  giveUp(cause?: Error): void {
    this.givenUp ??= new LogFailed('The shard is closed before its copies have synced.', { cause })
    if (this.appending?.isWritten === true) this.settle(this.givenUp)
  }

  /** Ends every conversation. The log is the owner's to close. */
  close(): void {
    this.isClosed = true
    this.notice.close()
    for (const copy of this.lines.keys()) {
      this.breakLine(copy, 'the shard is closed')
      this.replicator.disconnect(copy)
    }
    this.reads.close()
    this.giveUp()
  }
}
