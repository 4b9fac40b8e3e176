/**
 * Decides when which copy's overlay is applied to its stored state.
 *
 * All copies of a child, primaries and backups, share one budget of measured bytes. Above `startBytes` the largest overlay
 * is applied, one copy at a time; after a second of quiet the small ones are, too. At the limit
 * writers wait (`hasRoom`). A single one is applied at `SHARD_BYTES_MAX` at the latest, which
 * bounds what a restart has to replay.
 */
/** About 50 ms of replay. */
const SHARD_BYTES_MAX = 16 * 1_048_576
/** Applying begins at this part of the budget, so that writers need not wait for its end. */
const START_PART = 0.5
/**
 * What the logs of a child may have before them: enough for the largest writes that a disk takes at a
 * time, and little enough that a write which comes next is not behind seconds of others.
 */
export const LOG_BACKLOG_BYTES_MAX = 1_048_576
const QUIET_MS = 1_000
const RETRY_MS = 1_000

/** A copy, as far as it holds writes that are not in its stored state yet. */
export interface AppliedLater {
  /** Of its shard. */
  readonly id: number
  /** Memory that lives on until it is applied, or durable. */
  readonly overlayBytes: number
  /** Taken, and not durable yet; 0 while the log does not get on. A primary has some. */
  readonly logBacklogBytes?: number
  /** What the next `apply` would take along. */
  readonly applicableBytes: number
  readonly isApplied: boolean
  apply(): Promise<void>
}

export interface OverlayBudgetPorts {
  readonly bytesMax: number
  overlays(): Iterable<AppliedLater>
  now(): number
  /** Room was made, or it became clear that none will be made soon. */
  onChange(): void
  onError(of: AppliedLater, error: Error): void
}

export class OverlayBudget {
  private readonly ports: OverlayBudgetPorts
  private applying: AppliedLater | undefined
  private lastWriteMs = 0
  private failure: Error | undefined
  private retryAtMs = 0

  constructor(ports: OverlayBudgetPorts) {
    this.ports = ports
  }

  /** Whether writes may be taken. */
  get hasRoom(): boolean {
    let bytes = 0
    let backlogBytes = 0
    for (const each of this.ports.overlays()) {
      bytes += each.overlayBytes
      backlogBytes += each.logBacklogBytes ?? 0
    }
    return bytes < this.ports.bytesMax && backlogBytes < LOG_BACKLOG_BYTES_MAX
  }

  /** Why applying does not get on, while it does not. */
  get refusal(): Error | undefined {
    return this.failure
  }

  private bytes(): number {
    let bytes = 0
    for (const each of this.ports.overlays()) bytes += each.overlayBytes
    return bytes
  }

  /** Writes were taken: begins to apply if it is time. */
  onWrites(): void {
    this.lastWriteMs = this.ports.now()
    this.applyLargest()
  }

  /** Called a few times a second. */
  onTick(): void {
    const nowMs = this.ports.now()
    if (nowMs - this.lastWriteMs < QUIET_MS) this.applyLargest()
    else if (nowMs >= this.retryAtMs) this.applyIfNot(this.largest())
  }

  private applyLargest(): void {
    if (this.applying !== undefined || this.ports.now() < this.retryAtMs) return
    const largest = this.largest()
    if (largest === undefined) return
    const isDue = this.bytes() >= this.ports.bytesMax * START_PART
    if (isDue || largest.applicableBytes >= SHARD_BYTES_MAX) this.applyIfNot(largest)
  }

  private largest(): AppliedLater | undefined {
    let largest: AppliedLater | undefined
    for (const each of this.ports.overlays()) {
      if (each.isApplied) continue
      if (largest === undefined || each.applicableBytes > largest.applicableBytes) largest = each
    }
    return largest
  }

  private applyIfNot(copy: AppliedLater | undefined): void {
    if (copy === undefined || this.applying !== undefined) return
    this.applying = copy
    copy.apply().then(
      () => {
        this.applied(undefined)
      },
      (error: unknown) => {
        this.ports.onError(copy, error as Error)
        this.applied(error as Error)
      },
    )
  }

  private applied(error: Error | undefined): void {
    this.applying = undefined
    this.failure = error
    if (error !== undefined) this.retryAtMs = this.ports.now() + RETRY_MS
    this.ports.onChange()
    if (error === undefined) this.applyLargest()
  }
}
