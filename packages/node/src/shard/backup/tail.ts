/**
 * The end of a backup's log: frames that are durable here and not known to be committed, or not taken
 * into the copy's memory yet. They may have to be cut, so nothing reads them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LogFrame } from '../log/frame.js'
import { lastRevisionOf } from '../log/frame.js'
import type { Replica } from '../replica.js'
import { replayFrame } from '../replay.js'
import type { FrameQueue } from './frame-queue.js'

/** Bytes of frames taken into the overlay in one turn of the event loop: about a millisecond. */
const REPLAY_BYTES_SOFT = 65_536

export interface TailPorts {
  /** There is room for more. */
  onReplayed(): void
  /** A frame can't be taken in; no more are. */
  onError(error: Error): void
}

export class Tail {
  private readonly frames: FrameQueue
  private readonly replica: Replica
  private readonly ports: TailPorts
  private committed: number
  private replayed: number
  private newestMs: number
  private isReplayDue = false
  private isOver = false

  /** `frames` came after what the replica has in memory when it was opened. */
  constructor(frames: FrameQueue, replica: Replica, ports: TailPorts) {
    this.frames = frames
    this.replica = replica
    this.ports = ports
    this.newestMs = replica.lastTimeMs
    const { lastRevision } = replica.log
    // Of a copy that was built from a snapshot the log may end before what is in its state.
    this.replayed =
      frames.size === 0
        ? lastRevision
        : Math.min(lastRevision, replica.state.marks.applyingRevision)
    this.committed = this.replayed
  }

  /** Everything up to here is in the overlay or in the state, and can't be cut. */
  get replayedRevision(): number {
    return this.replayed
  }

  /** Time of the newest frame that is in memory or in the state, in epoch milliseconds. */
  get lastTimeMs(): number {
    return this.newestMs
  }

  get bytes(): number {
    return this.frames.bytes
  }

  get memoryBytes(): number {
    return this.frames.memoryBytes
  }

  /** A frame is durable. */
  push(frame: LogFrame): void {
    this.frames.push(frame)
  }

  cutAfter(revision: number): void {
    this.frames.cutAfter(revision)
  }

  /** Everything up to here is committed: it is taken in, over several turns if it is much. */
  learnCommit(revision: number): void {
    if (revision <= this.committed) return
    this.committed = revision
    this.replaySome()
  }

  /** Takes all of it in, committed or not; from now on only who has the replica does. */
  async finish(): Promise<void> {
    this.committed = Infinity
    while (this.replayPart()) await nextTurn()
    this.end()
  }

  /** Nothing more is taken in. */
  end(): void {
    this.isOver = true
  }

  private replaySome(): void {
    if (this.isReplayDue || this.isOver) return
    if (this.replayPart()) {
      this.isReplayDue = true
      setImmediate(() => {
        this.isReplayDue = false
        this.replaySome()
      })
    }
    this.ports.onReplayed()
  }

  /** Takes what one turn has time for. Returns whether more is left to do. */
  private replayPart(): boolean {
    const { bytes } = this.frames
    while (bytes - this.frames.bytes < REPLAY_BYTES_SOFT) if (!this.replayNext()) return false
    return true
  }

  /** Takes the oldest frame of the tail if it is committed. Returns whether it did. */
  private replayNext(): boolean {
    const frame = this.frames.first
    if (frame === undefined || this.isOver) return false
    if (lastRevisionOf(frame) > this.committed) return false
    try {
      replayFrame(frame, this.replica)
    } catch (error) {
      this.end()
      this.ports.onError(error as Error)
      return false
    }
    this.frames.shift()
    this.replayed = lastRevisionOf(frame)
    this.newestMs = Math.max(this.newestMs, frame.timeMs)
    return true
  }
}
