/**
 * The watches of one connection: takes what the client says about them, and tells it what happens.
 *
 * Two limits hold for what is told (P7): the credit of each watch, and a part of the connection's
 * unread bytes, so that watches never use up the room of replies. At either the feed is parked where
 * it is in the log, and goes on from there.
 */
import type { ErrorCode, WatchSelection, WireWatch } from '@kv/protocol'
import {
  ERROR_RULES,
  readCredits,
  readUnwatches,
  readWatches,
  shardOf,
  WATCHES_MAX,
  WireReader,
} from '@kv/protocol'
import type { Attachment, Change, ResetReason } from '../shard/feed/feed.js'
import { Feed } from '../shard/feed/feed.js'
import type { LiveHeld } from '../shard/held.js'
import type { Shard } from '../shard/shard.js'
import type { Connection } from './connection.js'
import type { EventBody } from './event-outbox.js'
import { EventOutbox } from './event-outbox.js'
import { Subscription } from './subscription.js'
import type { SubscriptionNews, WatchFeed } from './subscription.js'

/** Events a client has not taken; beyond this its watches wait in the log. */
export const UNREAD_EVENT_BYTES_MAX = 524_288

/** Keys that all watches of a connection may list together. */
export const WATCHED_KEYS_MAX = 65_536

/** Feeds of one connection: a watch has one for each of its shards here. */
export const FEEDS_MAX = 262_144

/** Feeds of all connections of a child, and keys that their watches list. */
export const CHILD_FEEDS_MAX = 1_048_576
export const CHILD_WATCHED_KEYS_MAX = 1_048_576

/** What all connections of a child watch together. */
export interface WatchTotals {
  feeds: number
  keys: number
}

export interface WatchLanePorts {
  readonly child: number
  readonly totals: WatchTotals
  readonly shardCount: number
  shard(id: number): Pick<Shard, 'epoch' | 'watchers'> | undefined
  send(message: Uint8Array): void
}

/** What the connection knows of a shard it watches. */
interface ShardProgress {
  attached: number
  toldRevision: number
}

export class WatchLane implements SubscriptionNews {
  private readonly connection: Connection
  private readonly ports: WatchLanePorts
  private readonly outbox: EventOutbox
  private readonly subscriptions = new Map<number, Subscription>()
  private readonly parked = new Map<WatchFeed, Subscription>()
  private readonly progress = new Map<number, ShardProgress>()
  private lastId = 0
  private keyCount = 0
  private feedCount = 0

  constructor(connection: Connection, ports: WatchLanePorts) {
    this.connection = connection
    this.ports = ports
    this.outbox = new EventOutbox(ports.child, (message) => {
      ports.send(message)
    })
  }

  get roomBytes(): number {
    return UNREAD_EVENT_BYTES_MAX - this.connection.unread - this.outbox.bytes
  }

  /** Throws `PROTOCOL` for what is no such body, like the two that follow. */
  watch(body: Uint8Array): void {
    for (const watch of readWatches(new WireReader(body))) this.begin(watch)
  }

  credit(body: Uint8Array): void {
    for (const { id, bytes } of readCredits(new WireReader(body))) {
      const subscription = this.subscriptions.get(id)
      if (subscription === undefined) continue
      subscription.grant(bytes)
      for (const feed of subscription.feeds.values()) this.maybeResume(feed, subscription)
    }
  }

  unwatch(body: Uint8Array): void {
    for (const id of readUnwatches(new WireReader(body))) {
      const subscription = this.subscriptions.get(id)
      if (subscription !== undefined) this.end(subscription)
    }
  }

  /** The client has taken bytes: what waited for room goes on. */
  onRoom(): void {
    if (this.parked.size === 0 || this.roomBytes <= 0) return
    // Of those parked at the moment: one that is parked again waits for the next time.
    const parked = Array.from(this.parked)
    for (const [feed, subscription] of parked) this.maybeResume(feed, subscription)
  }

  /** Lets cursors of quiet shards keep up with their logs. To be called about twice a second. */
  tellProgress(): void {
    if (this.roomBytes <= 0) return
    for (const [id, progress] of this.progress) {
      const shard = this.ports.shard(id)
      if (shard === undefined || progress.attached === 0) continue
      const { committedRevision: revision } = shard.watchers
      if (revision === progress.toldRevision) continue
      progress.toldRevision = revision
      const { epoch } = shard
      this.outbox.tell(0, progress, () => ({ type: 'progress', shard: id, epoch, revision }))
      this.outbox.settle()
    }
  }

  close(): void {
    for (const subscription of this.subscriptions.values()) this.end(subscription)
  }

  private begin({ id, credit, what, starts }: WireWatch): void {
    // Whatever is refused is refused as a whole, and nothing of it is kept.
    const keyCount = what.keys?.length ?? 0
    if (id <= this.lastId) {
      this.refuse(id, 'PROTOCOL', `watch ${id} comes after watch ${this.lastId}`)
      return
    }
    this.lastId = id
    const reason = this.whyNoMore(keyCount, starts.length)
    if (reason !== undefined) {
      this.refuse(id, 'OVERLOADED', reason)
      return
    }
    const subscription = new Subscription(id, keyCount, this)
    subscription.grant(credit)
    this.subscriptions.set(id, subscription)
    this.keyCount += keyCount
    this.ports.totals.keys += keyCount
    const { shardCount } = this.ports
    const begun = starts.map((start) => {
      const shard = this.ports.shard(start.shard)
      const feed = new Feed(subscription, selectionIn(what, start.shard, shardCount), start)
      const { epoch } = shard ?? start
      const { watchers } = shard ?? {}
      const watched: WatchFeed = { feed, shard: start.shard, epoch, watchers, isAttached: false }
      subscription.feeds.set(feed, watched)
      return { start, watched, watchers }
    })
    this.feedCount += begun.length
    this.ports.totals.feeds += begun.length
    // A subscription is forgotten with its last feed, and a feed may be over at once: all of them
    // are there before the first begins, or the rest would never hear of credit or of the end.
    for (const { start, watched, watchers } of begun) {
      if (watchers === undefined) this.onGone(subscription, watched)
      else watchers.open(watched.feed, start)
    }
  }

  /** A connection gets no more than is left for others: who watches little finds room. */
  private whyNoMore(keys: number, feeds: number): string | undefined {
    const { totals } = this.ports
    if (
      this.subscriptions.size >= WATCHES_MAX ||
      this.keyCount + keys > WATCHED_KEYS_MAX ||
      this.feedCount + feeds > FEEDS_MAX
    ) {
      return (
        `a connection has at most ${WATCHES_MAX} watches, ${WATCHED_KEYS_MAX} keys in them and ` +
        `${FEEDS_MAX} shards: watch prefixes, or use another client`
      )
    }
    const isTooMuch =
      this.feedCount + feeds > CHILD_FEEDS_MAX - totals.feeds ||
      this.keyCount + keys > CHILD_WATCHED_KEYS_MAX - totals.keys
    return isTooMuch ? 'the child has as many watches as it takes: watch prefixes' : undefined
  }

  private refuse(id: number, code: ErrorCode, message: string): void {
    const { wire } = ERROR_RULES[code]
    this.tellOne({ id }, { type: 'failed', shard: 0, epoch: 0, code: wire, message })
  }

  /** News of one watch. They are never the same as those before, which may be of the same feed. */
  private tellOne({ id }: { readonly id: number }, news: EventBody): void {
    this.outbox.tell(id, news, () => news)
  }

  private end(subscription: Subscription): void {
    for (const feed of subscription.feeds.values()) {
      feed.watchers?.close(feed.feed)
      this.forget(subscription, feed)
    }
    this.maybeForget(subscription)
  }

  private forget(subscription: Subscription, feed: WatchFeed): void {
    if (!subscription.feeds.delete(feed.feed)) return
    this.feedCount -= 1
    this.ports.totals.feeds -= 1
    this.parked.delete(feed)
    this.detach(feed)
  }

  private maybeForget(subscription: Subscription): void {
    if (subscription.feeds.size > 0 || !this.subscriptions.delete(subscription.id)) return
    this.keyCount -= subscription.keyCount
    this.ports.totals.keys -= subscription.keyCount
  }

  private detach(feed: WatchFeed): boolean {
    if (!feed.isAttached) return false
    feed.isAttached = false
    const progress = this.progress.get(feed.shard)
    if (progress !== undefined) {
      progress.attached -= 1
      if (progress.attached === 0) this.progress.delete(feed.shard)
    }
    return true
  }

  private maybeResume(feed: WatchFeed, subscription: Subscription): void {
    if (subscription.roomBytes <= 0 || !this.parked.delete(feed)) return
    feed.watchers?.resume(feed.feed)
  }

  onChange({ id }: Subscription, { shard }: WatchFeed, change: Change): void {
    this.outbox.tell(id, change, () => {
      const { type, epoch, revision, index, key, held } = change
      if (type !== 'set') return { type, shard, epoch, revision, index, key }
      const { expiresAt } = held
      const value = (held as LiveHeld).memory.bytes.subarray(held.start, held.end)
      return { type, shard, epoch, revision, index, expiresAt, key, value }
    })
  }

  onCurrent(
    { id }: Subscription,
    { shard }: WatchFeed,
    key: string,
    held: LiveHeld,
    { epoch, revision }: Attachment,
  ): void {
    const { version, expiresAt } = held
    const value = held.memory.bytes.subarray(held.start, held.end)
    this.outbox.tell(id, held, () => {
      return { type: 'current', shard, epoch, revision, version, expiresAt, key, value }
    })
    // The value may be in the stored state's memory, which its next read uses again.
    this.outbox.settle()
  }

  onAttached({ id }: Subscription, feed: WatchFeed, at: Attachment): void {
    if (feed.isAttached) return
    feed.isAttached = true
    const { shard } = feed
    const progress = this.progress.get(shard)
    if (progress === undefined) this.progress.set(shard, { attached: 1, toldRevision: at.revision })
    else progress.attached += 1
    const { epoch, revision } = at
    this.outbox.tell(id, at, () => ({ type: 'attached', shard, epoch, revision }))
  }

  onParked(subscription: Subscription, feed: WatchFeed): void {
    this.parked.set(feed, subscription)
    if (!this.detach(feed)) return
    const { shard, epoch } = feed
    this.tellOne(subscription, { type: 'detached', shard, epoch })
  }

  onReset(subscription: Subscription, feed: WatchFeed, reason: ResetReason): void {
    const { shard, epoch } = feed
    this.tellOne(subscription, { type: 'reset', shard, epoch, reason })
    this.forget(subscription, feed)
    this.maybeForget(subscription)
  }

  onGone(subscription: Subscription, feed: WatchFeed): void {
    const { shard, epoch } = feed
    this.tellOne(subscription, { type: 'gone', shard, epoch })
    this.forget(subscription, feed)
    this.maybeForget(subscription)
  }
}

/** What of the selection is in the shard. */
function selectionIn(what: WatchSelection, shard: number, shardCount: number): WatchSelection {
  if (what.keys === undefined) return what
  return { keys: what.keys.filter((key) => shardOf(key, shardCount) === shard) }
}
