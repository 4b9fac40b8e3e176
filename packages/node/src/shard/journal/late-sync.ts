/**
 * The syncs of a journal whose writes are not durable when they return: one a second, while something
 * is unsynced, and one whenever somebody must know that what was written is on the disk.
 *
 *   all synced ──written──▶ waiting ──a second, or `sync`──▶ syncing ──▶ all synced, or waiting
 *                                                              └──▶ failed, for ever
 *
 * A sync that has failed is not tried again: the pages that it was about may look clean since, and be
 * on no disk.
 */
import type { Schedule } from '../log/next-segment.js'

/** What a power cut may take back: what was written in so long before it. */
export const SYNC_EVERY_MS = 1_000
/** While a sync takes longer, writes wait for its end: what may be lost would grow without end. */
export const SYNC_LATE_MS_MAX = 1_000

export interface LateSyncPorts {
  /** Makes everything written so far durable. */
  sync(): Promise<void>
  schedule: Schedule
  /** On a clock that never goes back. */
  now(): number
  onFailure(error: Error): void
}

export class LateSync {
  private readonly ports: LateSyncPorts
  private written = 0
  private synced = 0
  private running: Promise<void> | undefined
  private begunAtMs = 0
  private cancelTimer: (() => void) | undefined
  private failure: Error | undefined
  private isOver = false

  constructor(ports: LateSyncPorts) {
    this.ports = ports
  }

  /** The last block that is on the disk for certain, with all before it. */
  get syncedThrough(): number {
    return this.synced
  }

  /** The sync that writes must wait for; `undefined` if there is none. */
  get late(): Promise<void> | undefined {
    const isLate =
      this.running !== undefined && this.ports.now() - this.begunAtMs > SYNC_LATE_MS_MAX
    return isLate ? this.running : undefined
  }

  /** The write of a block has returned. */
  onWritten(number: number): void {
    this.written = number
    this.wait()
  }

  /** Resolves when every block written before the call is on the disk. */
  async sync(): Promise<void> {
    const wanted = this.written
    while (this.synced < wanted) {
      if (this.failure !== undefined) throw this.failure
      await (this.running ?? this.begin())
    }
  }

  /** No more syncs by themselves. */
  end(): void {
    this.isOver = true
    this.cancelTimer?.()
    this.cancelTimer = undefined
  }

  private wait(): void {
    if (this.cancelTimer !== undefined || this.running !== undefined || this.isOver) return
    if (this.synced === this.written || this.failure !== undefined) return
    this.cancelTimer = this.ports.schedule(() => {
      this.cancelTimer = undefined
      if (this.running === undefined) this.begin().catch(() => undefined)
    }, SYNC_EVERY_MS)
  }

  private begin(): Promise<void> {
    this.cancelTimer?.()
    this.cancelTimer = undefined
    this.begunAtMs = this.ports.now()
    this.running = this.run().finally(() => {
      this.running = undefined
      this.wait()
    })
    return this.running
  }

  private async run(): Promise<void> {
    const through = this.written
    try {
      await this.ports.sync()
      this.synced = through
    } catch (error) {
      this.failure = error as Error
      this.ports.onFailure(error as Error)
      throw error
    }
  }
}
