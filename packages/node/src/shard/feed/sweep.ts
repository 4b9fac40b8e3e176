/**
 * One pass over the log for every feed that is behind: a reader that begins where the furthest
 * behind is and goes on to the tail. Feeds join while it passes them, leave when they have no room,
 * and are handed over at the tail, in the same turn in which the last frame was told.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LogFrame } from '../log/frame.js'
import { lastRevisionOf } from '../log/frame.js'
import type { LogReader } from '../log/reader.js'
import type { Feed } from './feed.js'
import { FeedIndex } from './feed-index.js'
import { changesOfFrame } from './frame-changes.js'

/** Bytes of frames that are told in one turn of the event loop; one frame may pass it. */
const TURN_BYTES_SOFT = 65_536

export interface SweepPorts {
  reader(revision: number): Pick<LogReader, 'next' | 'close'>
  /** What is behind it may be told; a frame may be durable a moment before it is committed. */
  readonly committedRevision: number
  /** A feed has no room for the next change of it. */
  onParked(feed: Feed): void
  /** The tail was reached: the feeds are the owner's again. Called in the turn of the last frame. */
  onTail(feeds: Iterable<Feed>): void
  /** The log could not be read; `feeds` are the owner's again. */
  onError(feeds: Iterable<Feed>, error: unknown): void
  /** The last call, made exactly once. */
  onEnd(sweep: Sweep): void
}

export class Sweep {
  private readonly ports: SweepPorts
  private readonly index = new FeedIndex()
  private readonly reader: Pick<LogReader, 'next' | 'close'>
  /** Every change up to here was told, to those who were there. */
  private passedRevision: number
  private isStopped = false

  constructor(ports: SweepPorts, feeds: Iterable<Feed>) {
    this.ports = ports
    let from = Infinity
    for (const feed of feeds) {
      from = Math.min(from, feed.nextRevision)
      this.index.add(feed)
    }
    this.passedRevision = from - 1
    this.reader = ports.reader(from)
    void this.run()
  }

  /** Takes a feed along, if it has not passed it. */
  maybeJoin(feed: Feed): boolean {
    if (this.isStopped || feed.nextRevision <= this.passedRevision) return false
    this.index.add(feed)
    return true
  }

  leave(feed: Feed): void {
    this.index.delete(feed)
  }

  /** Tells nothing more. */
  stop(): void {
    this.isStopped = true
  }

  private async run(): Promise<void> {
    try {
      while (!this.isStopped && this.index.size > 0 && !this.handOver()) await this.tellTurn()
    } catch (error) {
      if (!this.isStopped) this.ports.onError(this.takeFeeds(), error)
    }
    this.isStopped = true
    await this.reader.close().catch(() => undefined)
    this.ports.onEnd(this)
  }

  /** Tells the frames of one turn. */
  private async tellTurn(): Promise<void> {
    let bytes = 0
    while (bytes < TURN_BYTES_SOFT) {
      const frame = await this.reader.next()
      if (this.isStopped) return
      if (frame === undefined) break
      // Its commit is on its way: the log is durable a moment before anybody has been told.
      while (lastRevisionOf(frame) > this.ports.committedRevision) {
        await nextTurn()
        if (this.isStopped) return
      }
      this.tell(frame)
      bytes += frame.body.length
      if (this.index.size === 0 || this.handOver()) return
    }
    await nextTurn()
  }

  private tell(frame: LogFrame): void {
    changesOfFrame(frame, this.index, (change) => {
      this.index.visit(change.key, (feed) => {
        if (feed.tell(change)) return
        this.index.delete(feed)
        this.ports.onParked(feed)
      })
    })
    this.passedRevision = lastRevisionOf(frame)
  }

  /** At the tail: nothing can be committed between the last frame and this. */
  private handOver(): boolean {
    if (this.passedRevision < this.ports.committedRevision) return false
    this.isStopped = true
    this.ports.onTail(this.takeFeeds())
    return true
  }

  private takeFeeds(): Feed[] {
    const feeds = [...this.index.feeds]
    for (const feed of feeds) {
      this.index.delete(feed)
      feed.pass(this.passedRevision)
    }
    return feeds
  }
}
