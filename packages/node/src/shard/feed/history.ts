/**
 * How far back the log is kept for watchers, beyond what the state needs of it. Pure.
 *
 * By bytes and by age, whichever ends first. It counts in chunks, so that a shard that writes
 * without end costs a few numbers here. What was in the log when it was opened counts as one chunk
 * of that moment.
 */
export interface HistoryLimits {
  /** Bytes of frames. 0: nothing is kept for watchers. */
  readonly bytesMax: number
  readonly ageMsMax: number
}

/** Chunks that a full history has: by how much it may be kept longer than asked for. */
const CHUNKS = 32

interface Chunk {
  readonly firstRevision: number
  bytes: number
  readonly sinceMs: number
  untilMs: number
}

export class History {
  private readonly limits: HistoryLimits
  private chunks: Chunk[] = []
  private bytes = 0
  private lastRevision: number

  constructor(
    limits: HistoryLimits,
    log: { readonly firstRevision: number; readonly lastRevision: number; readonly bytes: number },
    nowMs: number,
  ) {
    this.limits = limits
    this.lastRevision = log.lastRevision
    if (log.lastRevision >= log.firstRevision) {
      const { firstRevision, bytes } = log
      this.chunks.push({ firstRevision, bytes, sinceMs: nowMs, untilMs: nowMs })
      this.bytes = bytes
    }
  }

  /** A frame was committed. */
  add(lastRevision: number, bytes: number, nowMs: number): void {
    const last = this.chunks.at(-1)
    const { bytesMax, ageMsMax } = this.limits
    const isFull =
      last === undefined ||
      last.bytes + bytes > bytesMax / CHUNKS ||
      nowMs - last.sinceMs > ageMsMax / CHUNKS
    if (isFull) {
      const firstRevision = this.lastRevision + 1
      this.chunks.push({ firstRevision, bytes, sinceMs: nowMs, untilMs: nowMs })
    } else {
      last.bytes += bytes
      last.untilMs = nowMs
    }
    this.bytes += bytes
    this.lastRevision = lastRevision
    if (this.chunks.length > 4 * CHUNKS) this.keepFrom(nowMs)
  }

  /** The first revision that watchers may still want. */
  keepFrom(nowMs: number): number {
    const { bytesMax, ageMsMax } = this.limits
    let drop = 0
    for (const { bytes, untilMs } of this.chunks) {
      if (this.bytes <= bytesMax && nowMs - untilMs <= ageMsMax) break
      this.bytes -= bytes
      drop += 1
    }
    if (drop > 0) this.chunks = this.chunks.slice(drop)
    return this.chunks[0]?.firstRevision ?? this.lastRevision + 1
  }
}
