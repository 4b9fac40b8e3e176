/** A copy whose log is committed frame by frame as the test says: what a snapshot is read from. */
import { CommittedReads } from '../../committed-reads.js'
import type { LogFrame } from '../../log/frame.js'
import { LOG_START, positionAfter } from '../../log/position.js'
import { closeReplica, openBackupReplica, type Replica } from '../../replica.js'
import type { ReplicaOptions } from '../../replica.js'
import { replayFrame } from '../../replay.js'
import { applyOverlay } from '../../state/applier.js'
import type { SnapshotPart } from '../parts.js'
import { SnapshotReader } from '../snapshot-reader.js'

export class LiveCopy {
  readonly replica: Replica
  /** Not committed yet. */
  private readonly tail: LogFrame[]
  private last = LOG_START
  private timeMs = 0

  private constructor(replica: Replica, tail: LogFrame[]) {
    this.replica = replica
    this.tail = tail
  }

  static async open(options: ReplicaOptions): Promise<LiveCopy> {
    const tail: LogFrame[] = []
    const replica = await openBackupReplica(options, (frame) => tail.push(frame))
    return new LiveCopy(replica, tail)
  }

  get isWhole(): boolean {
    return this.tail.length === 0
  }

  /** The next frames are committed. Returns those that were. */
  commit(frames = Infinity): LogFrame[] {
    const committed = this.tail.splice(0, frames)
    for (const frame of committed) {
      replayFrame(frame, this.replica)
      this.last = positionAfter(frame)
      this.timeMs = Math.max(this.timeMs, frame.timeMs)
    }
    return committed
  }

  /** Takes a frame of another copy's log. */
  take(frame: LogFrame): void {
    this.tail.push(frame)
    this.commit()
  }

  apply(): Promise<void> {
    const { overlay, state, sessions } = this.replica
    return applyOverlay(overlay, state, { sessions, timeMs: this.timeMs })
  }

  /** A snapshot of what is committed now and from now on. */
  snapshot(): SnapshotReader {
    const { replica } = this
    const reads = new CommittedReads(replica, (damage) => {
      throw damage
    })
    const view = {
      epochs: () => replica.log.epochTable,
      sessions: replica.sessions,
      sortSome: () => reads.sortSome(),
      page: reads.page.bind(reads),
      committedRevision: () => this.last.revision,
      timeMs: () => this.timeMs,
      onError: (error: Error) => {
        throw error
      },
    }
    return new SnapshotReader(view, () => this.last)
  }

  /** All there is, as two copies that are equal have it alike. */
  contents(): { entries: unknown[]; sessions: unknown[]; floor: number } {
    const { overlay, state, sessions } = this.replica
    const entries: unknown[] = []
    const reads = new CommittedReads({ overlay, state }, () => undefined)
    let from: string | undefined = ''
    while (from !== undefined) {
      const range = { from, to: undefined }
      const request = { range, reverse: false, limit: Infinity, nowMs: 0, withSystemKeys: true }
      from = reads.page(request, (key, { version, expiresAt, memory, start, end }) => {
        const value = Buffer.from(memory.bytes.subarray(start, end)).toString('latin1')
        entries.push({ key, version, expiresAt, value })
      })
    }
    const all = sessions.at(Infinity)
    const byClient = all.sessions.toSorted((a, b) => a.clientId - b.clientId)
    return { entries, sessions: byClient, floor: all.floor }
  }

  /** Keys of entries that end some day, from the earliest, as the expiry index of the state has them. */
  indexed(): unknown[] {
    return Array.from(this.replica.state.due(Number.MAX_SAFE_INTEGER, undefined))
  }

  close(): Promise<void> {
    return closeReplica(this.replica)
  }
}

/** All parts of a snapshot; `between` runs before each of them is made. */
export async function partsOf(
  reader: SnapshotReader,
  between: () => Promise<void> | void = () => undefined,
): Promise<SnapshotPart[]> {
  const parts: SnapshotPart[] = []
  for (;;) {
    await between()
    const part = await new Promise<SnapshotPart>((resolve) => reader.next(resolve))
    parts.push(part)
    if (part.type === 'snapshotEnd') return parts
  }
}
