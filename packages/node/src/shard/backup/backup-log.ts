/**
 * The log of a copy that follows a primary: the primary's frames, appended one at a time as they are
 * and when the pace of the child says so. Waits for no budget but that of its own tail: what waits
 * here is what the primary may send ahead.
 */
import type { EpochStart } from '../log/epoch-table.js'
import { LogMisuse, LogNoRoom } from '../log/errors.js'
import type { LogFrame } from '../log/frame.js'
import { FRAME_HEADER_BYTES } from '../log/frame.js'
import type { Log } from '../log/log.js'
import { FRAME_BYTES_MAX, HUNG_APPEND_MS } from '../log/options.js'
import type { LogPosition } from '../log/position.js'
import type { ReplicaOptions } from '../replica.js'
import { cutLog } from '../replica-log.js'
import { UNSYNCED_BYTES_MAX } from '../replication/peer.js'
import type { Pace } from '../sequencer/sequencer.js'
import { FrameQueue } from './frame-queue.js'

/** A primary has no more than this unsynced. */
const QUEUE_BYTES_MAX = UNSYNCED_BYTES_MAX + FRAME_BYTES_MAX

export interface BackupLogPorts {
  readonly replica: ReplicaOptions
  readonly pace: Pace
  now(): number
  /** Whether frames may be appended; `resume` follows when they may again. */
  hasRoom(): boolean
  /** The state holds no effect of a later revision. */
  stateRevision(): number
  onDurable(frame: LogFrame): void
  /** The disk is full. Nothing of what waited here was written. */
  onNoRoom(error: LogNoRoom): void
  /** The log is never used again. */
  onFailure(error: Error): void
}

export class BackupLog {
  private readonly ports: BackupLogPorts
  private log: Log
  private readonly queue = new FrameQueue()
  /** Whether it has asked for a turn at the disk. */
  private isWaiting = false
  /** Ends with the append under way and never rejects. */
  private writing: Promise<void> | undefined
  private begunAtMs = 0
  private cutting: Promise<void> | undefined
  private hasFailed = false

  constructor(log: Log, ports: BackupLogPorts) {
    this.log = log
    this.ports = ports
  }

  /** The log as it is now; a cut puts another in its place. */
  get current(): Log {
    return this.log
  }

  get last(): LogPosition {
    return this.log.last
  }

  get epochs(): readonly EpochStart[] {
    return this.log.epochTable
  }

  /** Memory of what waits. */
  get waitingBytes(): number {
    return this.queue.memoryBytes
  }

  get isCutting(): boolean {
    return this.cutting !== undefined
  }

  /** Whether a frame more is what a primary may send. */
  get takesMore(): boolean {
    return this.queue.bytes < QUEUE_BYTES_MAX
  }

  /** The frame must continue those taken before. Its memory is this log's from now on. */
  append(frame: LogFrame): void {
    this.queue.push(frame)
    this.resume()
  }

  resume(): void {
    if (this.isWaiting || this.writing !== undefined || this.hasFailed) return
    if (this.queue.size === 0 || !this.ports.hasRoom()) return
    this.isWaiting = true
    this.ports.pace(() => {
      this.isWaiting = false
      return this.appendNext()
    })
  }

  private appendNext(): Promise<void> | undefined {
    // It may have been given up meanwhile.
    const frame = this.hasFailed ? undefined : this.queue.shift()
    if (frame === undefined) return undefined
    this.begunAtMs = this.ports.now()
    this.writing = this.write(frame).finally(() => {
      this.writing = undefined
      this.resume()
    })
    return this.writing
  }

  private async write(frame: LogFrame): Promise<void> {
    const { body, jump, checksum } = frame
    const isBehindState = this.log.lastRevision < this.ports.stateRevision()
    try {
      await this.log.append(frameBuffer(frame), body.length, frame, { jump, checksum })
      // What a snapshot brought must not be ahead of what the log keeps: only then is it in sync.
      if (isBehindState) await this.log.sync()
    } catch (error) {
      if (!(error instanceof LogNoRoom)) return this.fail(error as Error)
      this.queue.clear()
      this.ports.onNoRoom(error)
      return
    }
    this.ports.onDurable(frame)
  }

  /** Gives up what waits. Resolves when nothing is under way. Never rejects. */
  async settle(): Promise<void> {
    this.queue.clear()
    await this.writing
    await this.cutting
  }

  /** Ends the log after a position; nothing may be under way. Never rejects. */
  cut(after: LogPosition): Promise<void> {
    this.cutting = cutLog(this.log, this.ports.replica, after)
      .then(
        (log) => {
          this.log = log
        },
        (error: unknown) => {
          this.fail(error as Error)
        },
      )
      .finally(() => {
        this.cutting = undefined
      })
    return this.cutting
  }

  /** A disk that hangs is one that failed (hard-parts 5). */
  onTick(): void {
    // What a journal could not sync is brought to the disk by opening the log again.
    if (this.cutting === undefined && this.log.failure !== undefined) this.fail(this.log.failure)
    if (this.writing === undefined || this.ports.now() - this.begunAtMs <= HUNG_APPEND_MS) return
    this.log.abandon(new Error(`an append took longer than ${HUNG_APPEND_MS} ms`))
  }

  private fail(error: Error): void {
    if (this.hasFailed) return
    this.hasFailed = true
    this.queue.clear()
    this.ports.onFailure(error)
  }

  /** Another log takes the place of this one, which is closed; nothing may be under way. */
  replace(log: Log): void {
    this.log = log
  }

  /** Waits for what is under way, and closes the log. */
  async close(): Promise<void> {
    await this.settle()
    await this.log.close()
  }
}

/** The memory in which the frame came, with room for the header that this log gives it. */
function frameBuffer({ body }: LogFrame): Buffer {
  const start = body.byteOffset - FRAME_HEADER_BYTES
  if (start < 0) throw new LogMisuse('A frame came without room for its header.')
  return Buffer.from(body.buffer, start, FRAME_HEADER_BYTES + body.length)
}
