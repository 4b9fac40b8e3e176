/**
 * A watch between the node and its consumer: puts the shards' events into one bounded queue, and
 * knows for each event where one would go on after it.
 *
 *     idle ──start──▶ (begun by the hub at every new connection, topology and reset) ──▶ over
 *
 * What is queued is bounded by the credit that was given: it is given again only as events are
 * handed out. So a consumer that stops costs this queue, and the node nothing.
 */
import type { Topology, WatchSelection, WireEvent } from '@kv/protocol'
import { changeBytes, compareKeys, decodeValue, keyAfter, shardOf } from '@kv/protocol'
import { shardsUnder } from '../listing/range.js'
import { invalidCursor } from '../opaque-text.js'
import type { ShardProgress, Subscription } from './shard-watch.js'
import { ShardWatch } from './shard-watch.js'
import type { Step } from './trail.js'
import { firstStep, positionsAt, stepAfter } from './trail.js'
import type { ShardPosition, WatchCursor } from './watch-cursor.js'
import { encodeWatchCursor, FROM_NOW, UNSEEN } from './watch-cursor.js'

/** Why a watch began anew. */
export type ResetReason = 'trimmed' | 'diverged' | 'other-cluster'

/** What the core needs of the hub. */
export interface WatchPorts {
  progressOf(shard: number): ShardProgress | undefined
  /** Gives up everything at the node and begins again. */
  restart(watch: WatchCore): void
  /** More may be taken. */
  grant(subscription: Subscription, bytes: number): void
}

interface QueuedChange {
  readonly type: 'set' | 'delete' | 'expire'
  readonly key: string
  readonly value: Uint8Array | undefined
  readonly version: number
  readonly expiresAt: number
  readonly index: number
  readonly position: ShardPosition
  readonly bytes: number
}

type Queued =
  | QueuedChange
  | { readonly type: 'ready'; readonly base: readonly ShardPosition[] }
  | { readonly type: 'reset'; readonly reason: string; readonly base: readonly ShardPosition[] }

export interface WatchSettings {
  readonly what: WatchSelection
  readonly since: WatchCursor | undefined
  readonly initial: boolean
}

/** An event as it is handed out, before a namespace looks at it. */
export type CoreEvent =
  | {
      readonly type: 'set'
      readonly key: string
      readonly value: unknown
      readonly version: number
      readonly expiresAt?: number
      readonly cursor: string
    }
  | {
      readonly type: 'delete' | 'expire'
      readonly key: string
      readonly version: number
      readonly cursor: string
    }
  | { readonly type: 'ready'; readonly cursor: string }
  | { readonly type: 'reset'; readonly reason: string; readonly cursor: string }

type WireChange = Extract<WireEvent, { key: string }>

export class WatchCore {
  readonly settings: WatchSettings
  /** Known from the first topology on. */
  shards: ShardWatch[] = []
  readonly subscriptions: Set<Subscription> = new Set()
  /** Bytes that may be on their way or queued, for each child. */
  windowBytes = 0
  /** Called when there is something to take, or it is over. */
  onNews: (() => void) | undefined = undefined
  /** Why it is over, if it is. */
  failure: unknown
  isOver = false
  private readonly ports: WatchPorts
  private queue: Queued[] = []
  private head = 0
  private queuedBytes = 0
  private clusterId: string | undefined
  private shardCount = 0
  private isReady = false
  /** A reset has come: current values come first, whatever was asked for. */
  private hasBegunAnew = false
  private last: Step | undefined

  constructor(settings: WatchSettings, ports: WatchPorts) {
    this.settings = settings
    this.ports = ports
    this.clusterId = settings.since?.clusterId
  }

  /** Whether there is something to take. */
  get hasNews(): boolean {
    return this.head < this.queue.length && !this.isHeldBack
  }

  /** How much a new subscription may send. */
  get spareBytes(): number {
    return Math.max(0, this.windowBytes - this.queuedBytes)
  }

  /**
   * What is seen before `ready` can't be gone on from where nothing was asked for: a cursor says
   * nothing of the shards that are not attached yet.
   */
  private get isHeldBack(): boolean {
    return !this.isReady && this.settings.since === undefined && !this.hasInitial
  }

  private get hasInitial(): boolean {
    return this.settings.initial || this.hasBegunAnew
  }

  /** A connection is there. Its cluster may be another than before. */
  meet(clusterId: string, topology: Topology): void {
    const { shardCount } = topology
    const isOther = this.clusterId !== undefined && this.clusterId !== clusterId
    this.clusterId = clusterId
    if (this.shards.length > 0 && this.shardCount === shardCount && !isOther) return
    const isFirst = this.shards.length === 0
    this.shardCount = shardCount
    this.shards = this.shardsOf(topology)
    if (isFirst && !isOther) this.begin()
    else this.beginAnew('other-cluster')
  }

  shardOfKey(key: string): number {
    return shardOf(key, this.shardCount)
  }

  private shardsOf({ shardCount }: Topology): ShardWatch[] {
    const { keys, prefix } = this.settings.what
    const shards =
      keys === undefined
        ? shardsUnder(prefix, shardCount)
        : Array.from(new Set(keys.map((key) => shardOf(key, shardCount))))
    const position = this.settings.initial ? UNSEEN : FROM_NOW
    return shards.toSorted((a, b) => a - b).map((shard, at) => new ShardWatch(shard, at, position))
  }

  private begin(): void {
    const positions = this.settings.since?.positions
    if (positions !== undefined) {
      if (positions.length !== this.shards.length) {
        this.end(invalidCursor('it belongs to a store with another number of shards'))
        return
      }
      for (const [index, shard] of this.shards.entries()) shard.position = positions[index]!
    }
    this.last = firstStep(this.shards.map(({ position }) => position))
  }

  /** History is gone: all current values come again. */
  beginAnew(reason: ResetReason): void {
    this.ports.restart(this)
    this.hasBegunAnew = true
    this.isReady = false
    for (const shard of this.shards) {
      shard.position = UNSEEN
      shard.isAttached = false
      shard.wasAttached = false
      shard.heldVersion = -1
    }
    this.push({ type: 'reset', reason, base: this.shards.map(() => UNSEEN) })
  }

  onEvent(subscription: Subscription, shard: ShardWatch, event: WireEvent): void {
    switch (event.type) {
      case 'set':
      case 'delete':
      case 'expire':
      case 'current':
        this.onChange(subscription, shard, event)
        return
      case 'attached':
        this.onAttached(shard, event)
        return
      case 'detached':
        shard.leave(this.ports.progressOf(shard.shard))
        return
      case 'reset':
        this.beginAnew(event.reason === 'trimmed' ? 'trimmed' : 'diverged')
        return
      case 'gone':
      case 'failed':
      case 'progress':
        // The hub's affair: they do not come here.
        return
    }
  }

  private onChange(subscription: Subscription, shard: ShardWatch, event: WireChange): void {
    const { epoch, revision, key } = event
    const isCurrent = event.type === 'current'
    const frontier = frontierPast(key, shard.position.frontier)
    const seen = isCurrent ? 0 : event.index + 1
    const value = 'value' in event ? Uint8Array.from(event.value) : undefined
    const position = { epoch, revision, seen, frontier }
    const bytes = changeBytes(key, value?.length ?? 0)
    shard.position = position
    subscription.credit -= bytes
    this.queuedBytes += bytes
    this.push({
      type: isCurrent ? 'set' : event.type,
      key,
      value,
      version: isCurrent ? event.version : revision,
      expiresAt: 'expiresAt' in event ? event.expiresAt : 0,
      index: shard.index,
      position,
      bytes,
    })
  }

  private onAttached(
    shard: ShardWatch,
    { epoch, revision }: { readonly epoch: number; readonly revision: number },
  ): void {
    shard.position = { epoch, revision, seen: 0, frontier: undefined }
    shard.isAttached = true
    if (shard.wasAttached) return
    shard.wasAttached = true
    if (this.isReady || !this.shards.every(({ wasAttached }) => wasAttached)) return
    this.isReady = true
    this.push({ type: 'ready', base: this.positionsNow() })
  }

  private positionsNow(): ShardPosition[] {
    return this.shards.map((shard) => shard.positionNow(this.ports.progressOf(shard.shard)))
  }

  private push(queued: Queued): void {
    this.queue.push(queued)
    if (!this.isHeldBack) this.onNews?.()
  }

  /** Takes the next event; there must be one. Throws if its value can't be decoded. */
  take(): CoreEvent {
    const queued = this.queue[this.head]!
    this.head += 1
    if (this.head === this.queue.length || this.head >= 1_024) {
      this.queue = this.queue.slice(this.head)
      this.head = 0
    }
    if ('base' in queued) {
      const { base, ...fields } = queued
      this.last = firstStep(base)
      return this.eventAt(this.last, fields)
    }
    const { type, key, version, expiresAt } = queued
    this.queuedBytes -= queued.bytes
    this.maybeGrant()
    this.last = stepAfter(this.last!, queued.index, queued.position)
    if (type !== 'set') return this.eventAt(this.last, { type, key, version })
    const fields = { type, key, value: decodeValue(queued.value!), version }
    return this.eventAt(this.last, expiresAt === 0 ? fields : { ...fields, expiresAt })
  }

  private eventAt(step: Step, fields: object): CoreEvent {
    const cursorAt = (): string => this.cursorAt(step)
    return {
      ...fields,
      get cursor() {
        return cursorAt()
      },
    } as CoreEvent
  }

  /** The newest event's cursor keeps up with the logs for as long as nothing else comes. */
  private cursorAt(step: Step): string {
    const isNewest = step === this.last && this.head === this.queue.length
    const positions = isNewest ? this.positionsNow() : positionsAt(step)
    return encodeWatchCursor(this.settings.what, { clusterId: this.clusterId ?? '', positions })
  }

  /** Gives credit again for what was taken, in large steps. */
  private maybeGrant(): void {
    const spare = this.spareBytes
    if (spare * 2 < this.windowBytes) return
    for (const subscription of this.subscriptions) {
      const due = spare - subscription.credit
      if (due * 2 < this.windowBytes) continue
      subscription.credit += due
      this.ports.grant(subscription, due)
    }
  }

  /** Nothing more comes. What is queued is still handed out if it ends for an error. */
  end(failure: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.failure = failure
    this.onNews?.()
  }

  /** The consumer has had enough. */
  drop(): void {
    this.isOver = true
    this.queue = []
    this.head = 0
    this.queuedBytes = 0
  }
}

/**
 * Current values come in order of keys, and changes only of keys that they have passed: of either,
 * everything up to this key has been seen. A change of a key further back takes nothing from that.
 */
function frontierPast(key: string, frontier: string | undefined): string | undefined {
  if (frontier === undefined) return undefined
  const next = keyAfter(key)
  return compareKeys(next, frontier) > 0 ? next : frontier
}
