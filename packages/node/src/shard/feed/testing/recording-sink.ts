/** A watcher of one feed, with as much room as the test gives it, that notes down what it is told. */
import type { WatchPosition, WatchSelection } from '@kv/protocol'
import { compareKeys, keyAfter } from '@kv/protocol'
import type { LiveHeld } from '../../held.js'
import { copyValue } from '../../held.js'
import type { Attachment, Change, FeedSink, ResetReason } from '../feed.js'
import { Feed } from '../feed.js'

export interface Told {
  readonly type: 'set' | 'delete' | 'expire' | 'current'
  readonly key: string
  readonly revision: number
  readonly value?: string
}

export class RecordingSink implements FeedSink {
  readonly told: Told[] = []
  readonly feed: Feed
  /** Changes it still takes. */
  room = Infinity
  attachedAt: number | undefined
  isParked = false
  ended: 'gone' | ResetReason | undefined
  /** Where a new feed would go on, as a client would know it. */
  position: WatchPosition
  frontier: string | undefined

  constructor(
    what: WatchSelection,
    start: WatchPosition & { readonly frontier: string | undefined },
  ) {
    this.position = start
    this.frontier = start.frontier
    this.feed = new Feed(this, what, start)
  }

  get roomBytes(): number {
    return this.room
  }

  private note(told: Told, position: WatchPosition): void {
    this.room -= 1
    this.told.push(told)
    this.position = position
    if (this.frontier === undefined) return
    const next = keyAfter(told.key)
    if (compareKeys(next, this.frontier) > 0) this.frontier = next
  }

  onChange(_feed: Feed, { type, key, epoch, revision, index, held }: Change): void {
    const position = { epoch, revision, seen: index + 1 }
    if (type !== 'set') this.note({ type, key, revision }, position)
    else this.note({ type, key, revision, value: textIn(held as LiveHeld) }, position)
  }

  onCurrent(_feed: Feed, key: string, held: LiveHeld, { epoch, revision }: Attachment): void {
    const told = { type: 'current', key, revision: held.version, value: textIn(held) } as const
    this.note(told, { epoch, revision, seen: 0 })
  }

  onAttached(_feed: Feed, { epoch, revision }: Attachment): void {
    this.isParked = false
    this.attachedAt = revision
    this.position = { epoch, revision, seen: 0 }
    this.frontier = undefined
  }

  onParked(): void {
    this.isParked = true
    this.attachedAt = undefined
  }

  onReset(_feed: Feed, reason: ResetReason): void {
    this.ended = reason
  }

  onGone(): void {
    this.ended = 'gone'
  }
}

function textIn(held: LiveHeld): string {
  return Buffer.from(copyValue(held)).toString()
}

export const FROM_NOW: WatchPosition & { readonly frontier: undefined } = {
  epoch: 0,
  revision: 0,
  seen: 0,
  frontier: undefined,
}

/** Current values first. */
export const FROM_CURRENT: WatchPosition & { readonly frontier: string } = {
  ...FROM_NOW,
  frontier: '',
}
