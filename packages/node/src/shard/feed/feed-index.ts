/**
 * Which feeds a change concerns: one look-up for the key, and one for each length that a watched
 * prefix has. A shard that nobody watches has no index; a key that nobody watches costs a look-up.
 */
import { isSystemKey } from '@kv/protocol'
import type { Feed } from './feed.js'

export class FeedIndex {
  private readonly byKey = new Map<string, Set<Feed>>()
  /** By length in UTF-16 units, then by prefix. */
  private readonly byPrefix = new Map<number, Map<string, Set<Feed>>>()
  readonly feeds: Set<Feed> = new Set()

  get size(): number {
    return this.feeds.size
  }

  add(feed: Feed): void {
    if (this.feeds.has(feed)) return
    this.feeds.add(feed)
    const { keys, prefix } = feed.what
    if (keys !== undefined) {
      for (const key of keys) join(this.byKey, key, feed)
      return
    }
    let prefixes = this.byPrefix.get(prefix.length)
    if (prefixes === undefined) {
      prefixes = new Map()
      this.byPrefix.set(prefix.length, prefixes)
    }
    join(prefixes, prefix, feed)
  }

  delete(feed: Feed): void {
    if (!this.feeds.delete(feed)) return
    const { keys, prefix } = feed.what
    if (keys !== undefined) {
      for (const key of keys) leave(this.byKey, key, feed)
      return
    }
    const prefixes = this.byPrefix.get(prefix.length)
    if (prefixes === undefined) return
    leave(prefixes, prefix, feed)
    if (prefixes.size === 0) this.byPrefix.delete(prefix.length)
  }

  /** Whether `visit` would be called at all. */
  concerns(key: string): boolean {
    if (this.byKey.has(key)) return true
    if (isSystemKey(key)) return false
    for (const [length, prefixes] of this.byPrefix) {
      if (length <= key.length && prefixes.has(key.slice(0, length))) return true
    }
    return false
  }

  /** Every feed that watches the key, once. `visit` may take feeds away. */
  visit(key: string, visit: (feed: Feed) => void): void {
    const exact = this.byKey.get(key)
    if (exact !== undefined) for (const feed of exact) visit(feed)
    // A key of the system is told only to who names it.
    if (isSystemKey(key)) return
    for (const [length, prefixes] of this.byPrefix) {
      if (length > key.length) continue
      const matching = prefixes.get(key.slice(0, length))
      if (matching !== undefined) for (const feed of matching) visit(feed)
    }
  }
}

function join(sets: Map<string, Set<Feed>>, name: string, feed: Feed): void {
  const set = sets.get(name)
  if (set === undefined) sets.set(name, new Set([feed]))
  else set.add(feed)
}

function leave(sets: Map<string, Set<Feed>>, name: string, feed: Feed): void {
  const set = sets.get(name)
  if (set?.delete(feed) === true && set.size === 0) sets.delete(name)
}
