/**
 * The feeds of a shard: at the tail one dispatch by key serves all of them, behind it a few readers
 * of the log do, shared. A feed whose watcher takes nothing is parked, and costs nothing per write.
 *
 * Only what is committed is told (P6). The shard makes this when it is first watched and drops it
 * with the last watcher.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { WatchPosition } from '@kv/protocol'
import { LogTrimmed } from '../log/errors.js'
import type { LogReader } from '../log/reader.js'
import type { Group } from '../sequencer/group.js'
import { CurrentPages } from './current-pages.js'
import type { PagePorts } from './current-pages.js'
import type { Attachment, Feed } from './feed.js'
import { FeedIndex } from './feed-index.js'
import { changesOfGroup } from './frame-changes.js'
import type { LogExtent } from './starting-point.js'
import { resetReason } from './starting-point.js'
import { Sweep } from './sweep.js'

/** Readers of the log at once: a second one, so that a long pass keeps nobody waiting. */
export const SWEEPS_MAX = 2

export interface ShardFeedsPorts extends PagePorts {
  readonly epoch: number
  readonly extent: LogExtent
  reader(revision: number): Pick<LogReader, 'next' | 'close'>
  /** The log can't be read. */
  onError(error: unknown): void
}

export class ShardFeeds {
  private readonly ports: ShardFeedsPorts
  private readonly feeds = new Set<Feed>()
  private readonly tail = new FeedIndex()
  /** Behind, and with no sweep yet. */
  private readonly waiting = new Set<Feed>()
  private readonly sweeps = new Set<Sweep>()
  private readonly pages: CurrentPages
  private attachment: Attachment = { epoch: 0, revision: 0 }
  private isSweepDue = false
  private isOver = false

  constructor(ports: ShardFeedsPorts) {
    this.ports = ports
    this.pages = new CurrentPages(ports, {
      attachmentNow: () => this.attachmentNow(),
      onCovered: (feed, at) => {
        feed.sink.onAttached(feed, at)
      },
      onNoRoom: (feed) => {
        this.park(feed, this.ports.extent.committedRevision)
      },
      onUnreadable: (feed) => {
        this.close(feed)
        feed.sink.onGone(feed)
      },
    })
  }

  get isEmpty(): boolean {
    return this.feeds.size === 0
  }

  /** The same one as long as nothing commits, so that it can be told to many at once. */
  private attachmentNow(): Attachment {
    const { epoch, extent } = this.ports
    if (this.attachment.revision !== extent.committedRevision) {
      this.attachment = { epoch, revision: extent.committedRevision }
    }
    return this.attachment
  }

  /** Begins a feed where its watcher says it was; `epoch` 0: at the tail. */
  open(feed: Feed, start: WatchPosition): void {
    const { extent } = this.ports
    if (start.epoch === 0) {
      feed.revision = extent.committedRevision
      feed.seen = 0
    } else {
      const reason = resetReason(start, extent)
      if (reason !== undefined) {
        feed.state = 'over'
        feed.sink.onReset(feed, reason)
        return
      }
    }
    this.feeds.add(feed)
    if (feed.nextRevision > extent.committedRevision) this.toTail(feed, this.attachmentNow())
    else this.resume(feed)
  }

  /** There is room again: a parked feed goes on. */
  resume(feed: Feed): void {
    if (feed.state !== 'parked' || !this.feeds.has(feed)) return
    if (feed.nextRevision > this.ports.extent.committedRevision) {
      this.toTail(feed, this.attachmentNow())
      return
    }
    feed.state = 'behind'
    for (const sweep of this.sweeps) if (sweep.maybeJoin(feed)) return
    this.waiting.add(feed)
    this.maybeSweep()
  }

  close(feed: Feed): void {
    feed.state = 'over'
    if (!this.feeds.delete(feed)) return
    this.tail.delete(feed)
    this.waiting.delete(feed)
    this.pages.delete(feed)
    for (const sweep of this.sweeps) sweep.leave(feed)
  }

  /** A group has committed: the extent knows of it already. */
  onCommit(group: Group): void {
    if (this.tail.size === 0) return
    changesOfGroup(group, this.ports.epoch, this.tail, (change) => {
      this.tail.visit(change.key, (feed) => {
        if (!feed.tell(change)) this.becomeParked(feed)
      })
    })
  }

  /** The shard is not served here any more. */
  end(): void {
    this.isOver = true
    for (const sweep of this.sweeps) sweep.stop()
    for (const feed of this.feeds) {
      this.close(feed)
      feed.sink.onGone(feed)
    }
  }

  /** The feed has seen everything that is committed. */
  private toTail(feed: Feed, at: Attachment): void {
    feed.state = 'tail'
    feed.pass(at.revision)
    this.tail.add(feed)
    if (feed.frontier === undefined) feed.sink.onAttached(feed, at)
    else this.pages.add(feed)
  }

  /** A feed that stands at the tail has no room. */
  private park(feed: Feed, passedRevision: number): void {
    feed.pass(passedRevision)
    this.becomeParked(feed)
  }

  private becomeParked(feed: Feed): void {
    this.tail.delete(feed)
    this.pages.delete(feed)
    feed.state = 'parked'
    feed.sink.onParked(feed)
  }

  /** At the end of the turn, so that all who come back together share a sweep. */
  private maybeSweep(): void {
    if (this.isSweepDue || this.isOver || this.sweeps.size >= SWEEPS_MAX) return
    this.isSweepDue = true
    void nextTurn().then(() => {
      this.isSweepDue = false
      this.beginSweep()
    })
  }

  private beginSweep(): void {
    if (this.isOver || this.waiting.size === 0 || this.sweeps.size >= SWEEPS_MAX) return
    const feeds = [...this.waiting]
    this.waiting.clear()
    const { ports } = this
    const sweep = new Sweep(
      {
        reader: (revision) => ports.reader(revision),
        get committedRevision() {
          return ports.extent.committedRevision
        },
        onParked: (feed) => {
          this.becomeParked(feed)
        },
        onTail: (caughtUp) => {
          const at = this.attachmentNow()
          for (const feed of caughtUp) this.toTail(feed, at)
        },
        onError: (stuck, error) => {
          this.onSweepError(stuck, error)
        },
        onEnd: (ended) => {
          this.sweeps.delete(ended)
          if (this.waiting.size > 0) this.maybeSweep()
        },
      },
      feeds,
    )
    this.sweeps.add(sweep)
  }

  private onSweepError(stuck: Iterable<Feed>, error: unknown): void {
    const { extent } = this.ports
    for (const feed of stuck) {
      if (error instanceof LogTrimmed && feed.nextRevision < extent.firstRevision) {
        this.close(feed)
        feed.sink.onReset(feed, 'trimmed')
      } else this.waiting.add(feed)
    }
    if (error instanceof LogTrimmed) return
    // The owner closes the shard, which ends them all: nothing is tried again.
    this.isOver = true
    this.ports.onError(error)
  }
}
