/**
 * A feed: a position in the log of one shard, for one watcher. The log is the buffer: a watcher that
 * takes nothing costs this object and no more.
 *
 *     parked ──resume──▶ behind ──reached the tail──▶ tail
 *        ▲                  │                          │
 *        └──── no room ─────┴──────── no room ─────────┘        over: closed, reset or gone
 *
 * While a feed has a *frontier*, keys from there on have not been told at all: changes of them are
 * left out, because a page of current values is going to cover them. So whoever stands at the tail
 * has seen everything below the frontier, and nothing from it on.
 */
import { compareKeys } from '@kv/protocol'
import type { WatchPosition, WatchSelection } from '@kv/protocol'
import type { Held, LiveHeld } from '../held.js'

export type ChangeType = 'set' | 'delete' | 'expire'

/** One change of one key, as the log has it. */
export interface Change {
  readonly type: ChangeType
  readonly key: string
  readonly epoch: number
  readonly revision: number
  /** Counts the changes of the entry from 0. */
  readonly index: number
  /** The value of a set; its memory may be reused once the change has been told. */
  readonly held: Held
}

/** Told to every feed that has caught up at once, so that it can be told to all of them at once. */
export interface Attachment {
  readonly epoch: number
  readonly revision: number
}

/** Where a feed's news go. All calls are made in the order of the shard. */
export interface FeedSink {
  /** Bytes it takes at the moment; a change is told whole if it is above 0. */
  readonly roomBytes: number
  onChange(feed: Feed, change: Change): void
  /** A current value, as of `revision`. */
  onCurrent(feed: Feed, key: string, held: LiveHeld, at: Attachment): void
  /** Everything up to the revision has been told. */
  onAttached(feed: Feed, at: Attachment): void
  /** There was no room: nothing is told until `resume`. */
  onParked(feed: Feed): void
  /** It can't begin, or go on, where it should: the last call. */
  onReset(feed: Feed, reason: ResetReason): void
  /** The shard is not served here any more, or could not be read: the last call. */
  onGone(feed: Feed): void
}

/**
 * `trimmed`: the log no longer reaches back that far. `diverged`: the position is not of this log's
 * history.
 */
export type ResetReason = 'trimmed' | 'diverged'

export type FeedState = 'parked' | 'behind' | 'tail' | 'over'

export class Feed {
  readonly sink: FeedSink
  /** Of the shard alone, in key order. */
  readonly what: WatchSelection
  state: FeedState = 'parked'
  /** Everything before it has passed; of `revision` itself `seen` changes, or all if 0. */
  revision: number
  seen: number
  frontier: string | undefined

  constructor(
    sink: FeedSink,
    what: WatchSelection,
    start: WatchPosition & { readonly frontier: string | undefined },
  ) {
    this.sink = sink
    this.what =
      what.keys === undefined ? what : { keys: [...new Set(what.keys)].toSorted(compareKeys) }
    this.revision = start.revision
    this.seen = start.seen
    this.frontier = start.frontier
  }

  /** The first revision of which something may be missing. */
  get nextRevision(): number {
    return this.seen > 0 ? this.revision : this.revision + 1
  }

  /** Whether the change is one the watcher has not had, of a key that is covered. */
  wants(change: Change): boolean {
    const { revision, index, key } = change
    if (revision < this.revision) return false
    if (revision === this.revision && (this.seen === 0 || index < this.seen)) return false
    return this.frontier === undefined || compareKeys(key, this.frontier) < 0
  }

  /** Everything up to and with this revision has passed. */
  pass(revision: number): void {
    if (revision < this.nextRevision) return
    this.revision = revision
    this.seen = 0
  }

  /** Tells of a change, if there is room. Returns whether there was, or nothing to tell. */
  tell(change: Change): boolean {
    if (!this.wants(change)) return true
    const { revision, index } = change
    if (this.sink.roomBytes <= 0) {
      this.revision = index > 0 ? revision : revision - 1
      this.seen = index
      return false
    }
    this.revision = revision
    this.seen = index + 1
    this.sink.onChange(this, change)
    return true
  }
}
