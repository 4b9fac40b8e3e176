/**
 * A watch of one shard: a position in its history, and how far its current values have been told.
 *
 * While a feed has a frontier, keys from there on have not been told at all: their changes are left
 * out, because their current values are going to come.
 */
import type { WatchSelection, WatchStart, WireEvent } from '@kv/protocol'
import { changeBytes, compareKeys, isSystemKey, prefixEnd } from '@kv/protocol'
import type { Happened } from './history.js'
import type { MemoryShard, Stored } from './memory-shard.js'

/** There is one history of a shard in memory, and no other primary ever writes it. */
export const EPOCH = 1

/** What the feeds of one watch share. */
export interface FeedOwner {
  readonly id: number
  readonly what: WatchSelection
  /** Bytes of events the client takes at the moment. */
  credit: number
  tell(event: WireEvent): void
}

export class MemoryFeed {
  readonly shardId: number
  /** It has told everything up to the shard's newest revision. */
  isAttached = false
  /** It can't go on, and has said so. */
  isOver = false
  private readonly shard: MemoryShard
  private readonly owner: FeedOwner
  private readonly keys: ReadonlySet<string> | undefined
  /** Everything before it was told; of `revision` itself `seen` changes, or all if 0. */
  private revision: number
  private seen: number
  private frontier: string | undefined

  constructor(shard: MemoryShard, owner: FeedOwner, start: WatchStart) {
    const { keys } = owner.what
    this.shardId = start.shard
    this.shard = shard
    this.owner = owner
    this.keys = keys === undefined ? undefined : new Set(keys)
    const isNew = start.epoch === 0
    this.revision = isNew ? shard.revision : start.revision
    this.seen = isNew ? 0 : start.seen
    this.frontier = start.frontier
    if (!isNew && (start.epoch !== EPOCH || start.revision > shard.revision)) this.end('diverged')
  }

  /** Tells what there is to tell, as far as there is credit. */
  pump(nowMs: number): void {
    if (this.isOver || !this.tellChanges()) return
    if (this.frontier !== undefined && !this.tellCurrent(nowMs)) return
    if (this.isAttached) return
    this.isAttached = true
    this.owner.tell({ type: 'attached', ...this.common, revision: this.revision })
  }

  private get common(): { shard: number; epoch: number; ids: readonly number[] } {
    return { shard: this.shardId, epoch: EPOCH, ids: [this.owner.id] }
  }

  /** Returns whether all changes are told that there have been. */
  private tellChanges(): boolean {
    const { history, revision } = this.shard
    const next = this.seen > 0 ? this.revision : this.revision + 1
    if (!history.reaches(next)) {
      this.end('trimmed')
      return false
    }
    for (const happened of history.from(next)) {
      if (!this.wants(happened)) continue
      if (this.owner.credit <= 0) {
        this.park()
        return false
      }
      this.revision = happened.revision
      this.seen = happened.index + 1
      this.tellChange(happened)
    }
    this.revision = revision
    this.seen = 0
    return true
  }

  private wants({ revision, index, change: { key } }: Happened): boolean {
    if (revision === this.revision && (this.seen === 0 || index < this.seen)) return false
    return this.selects(key) && (this.frontier === undefined || compareKeys(key, this.frontier) < 0)
  }

  /** Keys of the system begin with no prefix: they are watched one by one, by locks. */
  private selects(key: string): boolean {
    if (this.keys !== undefined) return this.keys.has(key)
    return !isSystemKey(key) && key.startsWith(this.owner.what.prefix ?? '')
  }

  private tellChange({ revision, index, change }: Happened): void {
    const { key } = change
    const at = { ...this.common, revision, index, key }
    if (change.type === 'set') {
      const { bytes: value, expiresAt } = change.stored
      this.owner.credit -= changeBytes(key, value.length)
      this.owner.tell({ type: 'set', ...at, expiresAt, value })
    } else {
      this.owner.credit -= changeBytes(key, 0)
      this.owner.tell({ type: change.type, ...at })
    }
  }

  /** Returns whether all current values are told that there are. */
  private tellCurrent(nowMs: number): boolean {
    for (const key of this.currentKeys(this.frontier ?? '', nowMs)) {
      if (this.owner.credit <= 0) {
        this.frontier = key
        this.park()
        return false
      }
      const { bytes: value, version, expiresAt }: Stored = this.shard.get(key, nowMs)!
      this.owner.credit -= changeBytes(key, value.length)
      const { revision } = this
      this.owner.tell({ type: 'current', ...this.common, revision, version, expiresAt, key, value })
    }
    this.frontier = undefined
    return true
  }

  /** The selected keys from the bound on that are there, in order. */
  private currentKeys(from: string, nowMs: number): Iterable<string> {
    const { shard, keys } = this
    if (keys === undefined) {
      const { prefix = '' } = this.owner.what
      const start = compareKeys(prefix, from) < 0 ? from : prefix
      return shard.keysIn({ from: start, to: prefixEnd(prefix) }, false, nowMs)
    }
    return Array.from(keys)
      .filter((key) => compareKeys(key, from) >= 0 && shard.get(key, nowMs) !== undefined)
      .toSorted(compareKeys)
  }

  private park(): void {
    if (!this.isAttached) return
    this.isAttached = false
    this.owner.tell({ type: 'detached', ...this.common })
  }

  private end(reason: 'trimmed' | 'diverged'): void {
    this.isOver = true
    this.isAttached = false
    this.owner.tell({ type: 'reset', ...this.common, reason })
  }
}
