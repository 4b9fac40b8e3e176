/**
 * One watch of a client at this child: its credit, and a feed for each of its shards.
 */
import type { LiveHeld } from '../shard/held.js'
import type { Attachment, Change, Feed, FeedSink, ResetReason } from '../shard/feed/feed.js'
import type { Watchers } from '../shard/feed/watchers.js'
import { changeBytes, WATCH_CREDIT_BYTES_MAX } from '@kv/protocol'

/** What a subscription tells its lane. */
export interface SubscriptionNews {
  /** Bytes of events the connection takes at the moment. */
  readonly roomBytes: number
  onChange(subscription: Subscription, feed: WatchFeed, change: Change): void
  onCurrent(
    subscription: Subscription,
    feed: WatchFeed,
    key: string,
    held: LiveHeld,
    at: Attachment,
  ): void
  onAttached(subscription: Subscription, feed: WatchFeed, at: Attachment): void
  onParked(subscription: Subscription, feed: WatchFeed): void
  onReset(subscription: Subscription, feed: WatchFeed, reason: ResetReason): void
  onGone(subscription: Subscription, feed: WatchFeed): void
}

/** A feed, and what its lane knows of it. */
export interface WatchFeed {
  readonly feed: Feed
  readonly shard: number
  readonly epoch: number
  /** Of the shard as it was opened then; none if it was not here. */
  readonly watchers: Pick<Watchers, 'close' | 'resume'> | undefined
  /** The client has been told that it has seen everything, and not that it has to wait since. */
  isAttached: boolean
}

export class Subscription implements FeedSink {
  readonly id: number
  /** How many keys it lists: they count against the connection's limit. */
  readonly keyCount: number
  readonly feeds: Map<Feed, WatchFeed> = new Map()
  private readonly news: SubscriptionNews
  private credit = 0

  constructor(id: number, keyCount: number, news: SubscriptionNews) {
    this.id = id
    this.keyCount = keyCount
    this.news = news
  }

  /** The client takes so many bytes more. */
  grant(bytes: number): void {
    this.credit = Math.min(this.credit + bytes, WATCH_CREDIT_BYTES_MAX)
  }

  get roomBytes(): number {
    return Math.min(this.credit, this.news.roomBytes)
  }

  onChange(feed: Feed, change: Change): void {
    const { held, key } = change
    this.credit -= changeBytes(key, held.end - held.start)
    this.news.onChange(this, this.of(feed), change)
  }

  onCurrent(feed: Feed, key: string, held: LiveHeld, at: Attachment): void {
    this.credit -= changeBytes(key, held.end - held.start)
    this.news.onCurrent(this, this.of(feed), key, held, at)
  }

  onAttached(feed: Feed, at: Attachment): void {
    this.news.onAttached(this, this.of(feed), at)
  }

  onParked(feed: Feed): void {
    this.news.onParked(this, this.of(feed))
  }

  onReset(feed: Feed, reason: ResetReason): void {
    this.news.onReset(this, this.of(feed), reason)
  }

  onGone(feed: Feed): void {
    this.news.onGone(this, this.of(feed))
  }

  private of(feed: Feed): WatchFeed {
    return this.feeds.get(feed) as WatchFeed
  }
}
