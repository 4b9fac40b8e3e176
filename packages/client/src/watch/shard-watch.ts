/**
 * One shard of one watch: how far its events have come, and from whom they come.
 */
import type { ShardPosition } from './watch-cursor.js'
import type { WatchCore } from './watch-core.js'

/** A watch at one child, under the id by which that child knows it. */
export class Subscription {
  readonly id: number
  readonly child: number
  /** By shard. */
  readonly shards: Map<number, ShardWatch> = new Map()
  readonly watch: WatchCore
  /** Bytes of events that may still come. */
  credit = 0

  constructor(id: number, child: number, watch: WatchCore) {
    this.id = id
    this.child = child
    this.watch = watch
  }
}

/** How far every attached watch of a shard has come, from the child's own word. */
export interface ShardProgress {
  epoch: number
  revision: number
}

export class ShardWatch {
  readonly shard: number
  /** Among the shards of its watch. */
  readonly index: number
  /** What has been received, queued or handed out. */
  position: ShardPosition
  subscription: Subscription | undefined = undefined
  /** Everything up to now was received; `progress` holds. */
  isAttached = false
  /** It was attached since the watch began, or began anew. */
  wasAttached = false
  /** A newer topology than this is waited for. */
  heldVersion = -1

  constructor(shard: number, index: number, position: ShardPosition) {
    this.shard = shard
    this.index = index
    this.position = position
  }

  /** What a cursor made now says. */
  positionNow(progress: ShardProgress | undefined): ShardPosition {
    if (!this.isAttached || progress === undefined) return this.position
    if (progress.revision <= this.position.revision) return this.position
    const { epoch, revision } = progress
    return { epoch, revision, seen: 0, frontier: undefined }
  }

  /** Nothing comes any more for the time being. */
  leave(progress: ShardProgress | undefined): void {
    this.position = this.positionNow(progress)
    this.isAttached = false
  }
}
