/**
 * Current values for feeds that begin with them, page by page.
 *
 * A page is read while its feed stands at the tail and in one turn, so it is the state at the
 * revision up to which everything before it has been told. Nothing has to be remembered between
 * pages but the frontier, however slowly they are taken.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { compareKeys, PAGE_BYTES_SOFT, PAGE_ENTRIES_MAX, prefixEnd } from '@kv/protocol'
import type { KeyRange } from '@kv/protocol'
import type { LiveHeld } from '../held.js'
import type { Attachment, Feed } from './feed.js'

/** Listed keys that are looked up in one turn for one feed. */
const LOOKUPS_MAX = 256

export interface PagePorts {
  /** Sorts a part of what pages need. Returns whether more is left to do. */
  sortSome(): boolean
  /** A page of visible entries; returns where the rest begins. */
  page(
    request: { readonly range: KeyRange; readonly limit: number; readonly bytesSoft: number },
    onEntry: (key: string, held: LiveHeld) => void,
  ): string | undefined
  /** The committed entry of a key, if it is visible. */
  visible(key: string): LiveHeld | undefined
}

export interface PageOwner {
  attachmentNow(): Attachment
  /** Every key of the feed has been told. */
  onCovered(feed: Feed, at: Attachment): void
  onNoRoom(feed: Feed): void
  /** The state could not be read: the feed is told nothing more. */
  onUnreadable(feed: Feed): void
}

export class CurrentPages {
  private readonly ports: PagePorts
  private readonly owner: PageOwner
  private readonly feeds = new Set<Feed>()
  private isRunning = false

  constructor(ports: PagePorts, owner: PageOwner) {
    this.ports = ports
    this.owner = owner
  }

  /** Takes a feed that stands at the tail and has a frontier. */
  add(feed: Feed): void {
    this.feeds.add(feed)
    if (!this.isRunning) void this.run()
  }

  delete(feed: Feed): void {
    this.feeds.delete(feed)
  }

  private async run(): Promise<void> {
    this.isRunning = true
    try {
      while (this.feeds.size > 0) {
        await nextTurn()
        let lookups = 0
        const feeds = Array.from(this.feeds)
        for (const feed of feeds) {
          const { keys } = feed.what
          // Who wants a range waits until it is sorted, in slices.
          while (keys === undefined && this.ports.sortSome()) await nextTurn()
          if (!this.feeds.has(feed)) continue
          this.tellPage(feed)
          lookups += keys?.length ?? LOOKUPS_MAX
          if (lookups < LOOKUPS_MAX) continue
          lookups = 0
          await nextTurn()
        }
      }
    } catch {
      // Damage ends the shard. After any other error it goes on, and its watchers ask again.
      const feeds = Array.from(this.feeds)
      this.feeds.clear()
      for (const feed of feeds) this.owner.onUnreadable(feed)
    } finally {
      this.isRunning = false
    }
  }

  private tellPage(feed: Feed): void {
    const { roomBytes } = feed.sink
    if (roomBytes <= 0) {
      this.feeds.delete(feed)
      this.owner.onNoRoom(feed)
      return
    }
    const at = this.owner.attachmentNow()
    feed.pass(at.revision)
    feed.frontier =
      feed.what.keys === undefined
        ? this.tellRange(feed, feed.what.prefix, Math.min(roomBytes, PAGE_BYTES_SOFT), at)
        : this.tellKeys(feed, feed.what.keys, at)
    if (feed.frontier !== undefined) return
    this.feeds.delete(feed)
    this.owner.onCovered(feed, at)
  }

  private tellRange(
    feed: Feed,
    prefix: string,
    bytesSoft: number,
    at: Attachment,
  ): string | undefined {
    const frontier = feed.frontier ?? ''
    const from = compareKeys(frontier, prefix) > 0 ? frontier : prefix
    const request = { range: { from, to: prefixEnd(prefix) }, limit: PAGE_ENTRIES_MAX, bytesSoft }
    return this.ports.page(request, (key, held) => {
      feed.sink.onCurrent(feed, key, held, at)
    })
  }

  private tellKeys(feed: Feed, keys: readonly string[], at: Attachment): string | undefined {
    const frontier = feed.frontier ?? ''
    let lookups = 0
    for (const key of keys) {
      if (compareKeys(key, frontier) < 0) continue
      if (lookups === LOOKUPS_MAX || (lookups > 0 && feed.sink.roomBytes <= 0)) return key
      lookups += 1
      const held = this.ports.visible(key)
      if (held !== undefined) feed.sink.onCurrent(feed, key, held, at)
    }
    return undefined
  }
}
