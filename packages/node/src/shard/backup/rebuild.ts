/**
 * A backup's side of a snapshot: parts come as they come, and are taken in one after the other, into a
 * replica beside the one that the backup has open.
 */
import type { SnapshotBegin, SnapshotEnd } from '../snapshot/parts.js'
import { SnapshotBuild, type BuildOptions } from '../snapshot/snapshot-build.js'

export interface RebuildPorts {
  readonly replica: BuildOptions
  onPageTaken(): void
  /** The new replica is whole, and closed, beside the old one. Never rejects. */
  onBuilt(): Promise<void>
  /** Nothing becomes of it: damage on the way, or a disk without room. Another attempt may do better. */
  onFailed(reason: string): void
}

export class Rebuild {
  private readonly ports: RebuildPorts
  private build: SnapshotBuild | undefined
  /** Ends with what is under way and never rejects. */
  private work: Promise<void> = Promise.resolve()
  private isOver = false

  constructor(begin: SnapshotBegin, ports: RebuildPorts) {
    this.ports = ports
    this.next(async () => {
      this.build = await SnapshotBuild.begin(ports.replica, begin)
    })
  }

  takePage(page: Buffer): void {
    this.next(async () => {
      await this.build?.takePage(page)
      this.ports.onPageTaken()
    })
  }

  end(end: SnapshotEnd): void {
    this.next(async () => {
      await this.build?.end(end)
      this.build = undefined
      await this.ports.onBuilt()
    })
  }

  private next(step: () => Promise<void>): void {
    this.work = this.work.then(async () => {
      if (this.isOver) return
      try {
        await step()
      } catch (error) {
        this.isOver = true
        this.ports.onFailed((error as Error).message)
      }
    })
  }

  /** Gives up what is not in place yet. Resolves when nothing is under way. Never rejects. */
  async abandon(): Promise<void> {
    this.isOver = true
    await this.work
    const { build } = this
    this.build = undefined
    await build?.abandon().catch(() => undefined)
  }
}
