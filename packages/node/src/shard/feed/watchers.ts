/**
 * Those who watch a shard, if there are any. Without any a commit costs a look at one field.
 */
import type { WatchPosition } from '@kv/protocol'
import type { Log } from '../log/log.js'
import type { Group } from '../sequencer/group.js'
import type { PagePorts } from './current-pages.js'
import type { Feed } from './feed.js'
import { ShardFeeds } from './shard-feeds.js'
import type { LogExtent } from './starting-point.js'

export interface WatchersPorts extends PagePorts {
  readonly epoch: number
  /** Revisions left out where an epoch begins; 0: none are. */
  readonly jump?: number
  readonly log: Pick<Log, 'epochTable' | 'firstRevision' | 'lastRevision' | 'reader'>
  /** The log can't be read. */
  onError(error: Error): void
}

export class Watchers implements LogExtent {
  /** The last revision that may be read and told. */
  committedRevision: number
  private readonly ports: WatchersPorts
  private feeds: ShardFeeds | undefined

  constructor(ports: WatchersPorts) {
    this.ports = ports
    this.committedRevision = ports.log.lastRevision
  }

  get epochTable(): LogExtent['epochTable'] {
    return this.ports.log.epochTable
  }

  get jump(): number {
    return this.ports.jump ?? 0
  }

  get firstRevision(): number {
    return this.ports.log.firstRevision
  }

  /** A group has committed, and can be read. */
  onCommit(group: Group): void {
    this.committedRevision = group.lastRevision
    this.feeds?.onCommit(group)
  }

  /** Begins to tell a feed of changes, from `start`. Its sink may hear of it at once. */
  open(feed: Feed, start: WatchPosition): void {
    this.feeds ??= this.begin()
    this.feeds.open(feed, start)
    if (this.feeds.isEmpty) this.feeds = undefined
  }

  /** A parked feed has room again. */
  resume(feed: Feed): void {
    this.feeds?.resume(feed)
  }

  close(feed: Feed): void {
    this.feeds?.close(feed)
    if (this.feeds?.isEmpty === true) this.feeds = undefined
  }

  /** The shard is not served here any more. */
  end(): void {
    this.feeds?.end()
    this.feeds = undefined
  }

  private begin(): ShardFeeds {
    const { epoch, log } = this.ports
    return new ShardFeeds({
      epoch,
      extent: this,
      reader: (revision) => log.reader(revision),
      sortSome: () => this.ports.sortSome(),
      page: (request, onEntry) => this.ports.page(request, onEntry),
      visible: (key) => this.ports.visible(key),
      onError: (error) => {
        this.ports.onError(error as Error)
      },
    })
  }
}
