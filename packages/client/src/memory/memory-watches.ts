/**
 * The watches of one client: takes what it says about them, and tells it what happens.
 *
 * What is told gathers until the turn ends. It is bounded by the credit that the client gives.
 */
import type { NodeMessage, WireEvent, WireWatch } from '@kv/protocol'
import {
  ERROR_RULES,
  readCredits,
  readUnwatches,
  readWatches,
  WATCH_CREDIT_BYTES_MAX,
  WATCHES_MAX,
  WireReader,
  WireWriter,
  writeEvent,
} from '@kv/protocol'
import type { FeedOwner } from './memory-feed.js'
import { EPOCH, MemoryFeed } from './memory-feed.js'
import type { MemoryShard } from './memory-shard.js'

/** A message of this size leaves; one event may pass it. */
const MESSAGE_BYTES_SOFT = 65_536

export interface MemoryWatchesPorts {
  readonly child: number
  readonly shards: readonly MemoryShard[]
  now(): number
  send(message: NodeMessage): void
}

interface MemoryWatch extends FeedOwner {
  feeds: MemoryFeed[]
}

export class MemoryWatches {
  private readonly ports: MemoryWatchesPorts
  private readonly watches = new Map<number, MemoryWatch>()
  private events: WireEvent[] = []
  /** Shards that have a new revision since the last message. */
  private readonly moved = new Set<number>()
  private isFlushDue = false

  constructor(ports: MemoryWatchesPorts) {
    this.ports = ports
  }

  get isEmpty(): boolean {
    return this.watches.size === 0
  }

  watch(body: Uint8Array): void {
    for (const watch of readWatches(new WireReader(body))) this.begin(watch)
  }

  private begin({ id, credit, what, starts }: WireWatch): void {
    const { shards } = this.ports
    if (this.watches.size >= WATCHES_MAX) {
      const { wire: code } = ERROR_RULES.OVERLOADED
      const message = `a client has at most ${WATCHES_MAX} watches: watch prefixes instead of keys`
      this.tell({ type: 'failed', shard: 0, epoch: EPOCH, ids: [id], code, message })
      return
    }
    const watch: MemoryWatch = {
      id,
      what,
      credit,
      tell: (event) => {
        this.tell(event)
      },
      feeds: [],
    }
    this.watches.set(id, watch)
    watch.feeds = starts.map((start) => new MemoryFeed(shards[start.shard]!, watch, start))
    this.pump(watch)
  }

  credit(body: Uint8Array): void {
    for (const { id, bytes } of readCredits(new WireReader(body))) {
      const watch = this.watches.get(id)
      if (watch === undefined) continue
      watch.credit = Math.min(watch.credit + bytes, WATCH_CREDIT_BYTES_MAX)
      this.pump(watch)
    }
  }

  unwatch(body: Uint8Array): void {
    for (const id of readUnwatches(new WireReader(body))) this.watches.delete(id)
  }

  /** The shard has a new revision. */
  onRevision(shardId: number): void {
    for (const watch of this.watches.values()) {
      const feed = watch.feeds.find((one) => one.shardId === shardId)
      if (feed?.isAttached !== true) continue
      feed.pump(this.ports.now())
      if (!feed.isAttached) continue
      this.moved.add(shardId)
      this.flushLater()
    }
  }

  private pump(watch: MemoryWatch): void {
    const nowMs = this.ports.now()
    for (const feed of watch.feeds) feed.pump(nowMs)
    watch.feeds = watch.feeds.filter(({ isOver }) => !isOver)
    if (watch.feeds.length === 0) this.watches.delete(watch.id)
  }

  private tell(event: WireEvent): void {
    this.events.push(event)
    this.flushLater()
  }

  private flushLater(): void {
    if (this.isFlushDue) return
    this.isFlushDue = true
    queueMicrotask(() => {
      this.isFlushDue = false
      this.flush()
    })
  }

  private flush(): void {
    // Whoever is attached has been told everything: cursors of quiet keys keep up.
    for (const shard of this.moved) {
      const { revision } = this.ports.shards[shard]!
      this.events.push({ type: 'progress', shard, epoch: EPOCH, ids: [], revision })
    }
    this.moved.clear()
    const { events } = this
    this.events = []
    let items = new WireWriter()
    let count = 0
    for (const event of events) {
      writeEvent(items, event)
      count += 1
      if (items.position < MESSAGE_BYTES_SOFT) continue
      this.send(count, items)
      items = new WireWriter()
      count = 0
    }
    if (count > 0) this.send(count, items)
  }

  private send(count: number, items: WireWriter): void {
    const body = new WireWriter()
    body.array(count)
    body.raw(items.bytes, 0, items.position)
    this.ports.send({ type: 'event', child: this.ports.child, body: body.written() })
  }
}
