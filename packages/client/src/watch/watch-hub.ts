/**
 * All watches of a client: brings them to the children that serve their shards, again after every
 * reconnect, move and restart, and hands what comes to whom it concerns.
 *
 * They share the connection, one timer and the messages: what is to be said in one turn of the event
 * loop is said at once.
 */
import type { CreditGrant, EventMessage, Topology, Unwatched, WireEvent } from '@kv/protocol'
import {
  BATCH_BYTES_SOFT,
  encodeClientMessage,
  errorCodeOf,
  KvError,
  NO_CHILD,
  readEvents,
  WireReader,
  WireWriter,
  writeCredits,
  writeUnwatches,
  writeWatch,
} from '@kv/protocol'
import type { Clock } from '../clock.js'
import { Alarm } from '../clock.js'
import type { ShardProgress, ShardWatch } from './shard-watch.js'
import { Subscription } from './shard-watch.js'
import type { WatchCore, WatchPorts } from './watch-core.js'

/** Bytes of events that all watches of a client may hold at first, shared evenly … */
const WINDOWS_BYTES = 4_194_304
/** … but none has less, or more, than these. */
const WINDOW_BYTES_MIN = 4_096
const WINDOW_BYTES_MAX = 65_536

/** After so long a shard is asked for again, although nobody said that it has moved. */
const RETRY_MS = 500

/** Watches whose credit and ends may be put into one message. */
const IDS_PER_MESSAGE = 8_192

export interface HubPorts {
  readonly clock: Clock
  send(bytes: Uint8Array): void
  /** Opens the connection, if it is not. */
  open(): void
}

export class WatchHub implements WatchPorts {
  private readonly ports: HubPorts
  private readonly watches = new Set<WatchCore>()
  private readonly subscriptions = new Map<number, Subscription>()
  private readonly progress = new Map<number, ShardProgress>()
  private readonly alarm: Alarm
  private home: { readonly clusterId: string; topology: Topology } | undefined
  private lastId = 0
  private isFlushDue = false
  private unsent: Subscription[] = []
  private readonly grants = new Map<Subscription, number>()
  private unwatches: Subscription[] = []
  private readonly restarted = new Set<WatchCore>()
  private refusal: KvError | undefined

  constructor(ports: HubPorts) {
    this.ports = ports
    this.alarm = new Alarm(ports.clock, () => this.onAlarm())
  }

  /** Whether the node owes signs of life: it tells of progress at least. */
  get isWatching(): boolean {
    return this.watches.size > 0
  }

  add(watch: WatchCore): void {
    if (this.refusal !== undefined) {
      watch.end(this.refusal)
      return
    }
    this.watches.add(watch)
    const share = Math.floor(WINDOWS_BYTES / this.watches.size)
    watch.windowBytes = Math.min(Math.max(share, WINDOW_BYTES_MIN), WINDOW_BYTES_MAX)
    this.ports.open()
    this.arrange(watch)
  }

  remove(watch: WatchCore): void {
    this.watches.delete(watch)
    this.restart(watch)
  }

  /** Gives up everything the watch has at the node. */
  restart(watch: WatchCore): void {
    for (const subscription of watch.subscriptions) {
      this.subscriptions.delete(subscription.id)
      if (this.home !== undefined) this.unwatches.push(subscription)
    }
    watch.subscriptions.clear()
    for (const shard of watch.shards) shard.subscription = undefined
    this.restarted.add(watch)
    this.scheduleFlush()
  }

  progressOf(shard: number): ShardProgress | undefined {
    return this.progress.get(shard)
  }

  grant(subscription: Subscription, bytes: number): void {
    if (!this.subscriptions.has(subscription.id)) return
    this.grants.set(subscription, (this.grants.get(subscription) ?? 0) + bytes)
    this.scheduleFlush()
  }

  onConnected(clusterId: string, topology: Topology): void {
    this.home = { clusterId, topology }
    this.arrangeAll()
  }

  onTopology(topology: Topology): void {
    if (this.home === undefined) return
    this.home.topology = topology
    this.arrangeAll()
  }

  /** What was received stays received: watches go on from there when there is a connection. */
  onDisconnected(): void {
    this.home = undefined
    this.alarm.clear()
    for (const subscription of this.subscriptions.values()) this.lose(subscription)
    this.subscriptions.clear()
    this.progress.clear()
    this.unsent = []
    this.unwatches = []
    this.grants.clear()
    this.restarted.clear()
  }

  private lose(subscription: Subscription): void {
    for (const shard of subscription.shards.values()) this.leave(shard)
    subscription.watch.subscriptions.delete(subscription)
  }

  private leave(shard: ShardWatch): void {
    shard.leave(this.progress.get(shard.shard))
    shard.subscription = undefined
    shard.heldVersion = -1
  }

  private arrangeAll(): void {
    for (const watch of this.watches) this.arrange(watch)
  }

  /** Watches every shard that has nobody who tells of it, where it is served. */
  private arrange(watch: WatchCore): void {
    const { home } = this
    if (home === undefined) return
    const { topology } = home
    watch.meet(home.clusterId, topology)
    if (watch.isOver) return
    const made = new Map<number, Subscription>()
    for (const shard of watch.shards) {
      if (shard.subscription !== undefined || shard.heldVersion >= topology.version) continue
      const child = topology.primaries[shard.shard] ?? NO_CHILD
      if (child === NO_CHILD) continue
      const subscription = made.get(child) ?? this.subscribe(child, watch)
      made.set(child, subscription)
      subscription.shards.set(shard.shard, shard)
      shard.subscription = subscription
    }
  }

  private subscribe(child: number, watch: WatchCore): Subscription {
    this.lastId += 1
    const subscription = new Subscription(this.lastId, child, watch)
    subscription.credit = watch.spareBytes
    this.subscriptions.set(subscription.id, subscription)
    watch.subscriptions.add(subscription)
    this.unsent.push(subscription)
    this.scheduleFlush()
    return subscription
  }

  onEvents(message: EventMessage): void {
    readEvents(new WireReader(message.body), (event) => {
      if (event.type === 'progress') this.onProgress(event)
      else for (const id of event.ids) this.onEvent(id, event)
    })
  }

  private onProgress({ shard, epoch, revision }: WireEvent & { readonly revision: number }): void {
    const known = this.progress.get(shard)
    if (known === undefined) {
      this.progress.set(shard, { epoch, revision })
    } else {
      known.epoch = epoch
      known.revision = revision
    }
  }

  private onEvent(id: number, event: WireEvent): void {
    const subscription = this.subscriptions.get(id)
    if (subscription === undefined) return
    if (event.type === 'failed') {
      const { watch } = subscription
      watch.end(new KvError(errorCodeOf(event.code), event.message))
      this.remove(watch)
      return
    }
    const shard = subscription.shards.get(event.shard)
    if (shard === undefined) return
    if (event.type === 'gone') this.onGone(subscription, shard)
    else subscription.watch.onEvent(subscription, shard, event)
  }

  private onGone(subscription: Subscription, shard: ShardWatch): void {
    subscription.shards.delete(shard.shard)
    this.leave(shard)
    if (subscription.shards.size === 0) {
      this.subscriptions.delete(subscription.id)
      subscription.watch.subscriptions.delete(subscription)
    }
    this.findAgain(shard, subscription.child)
    this.arrange(subscription.watch)
  }

  /** Who said that it does not serve the shard is not asked again under the same topology. */
  private findAgain(shard: ShardWatch, child: number): void {
    const topology = this.home?.topology
    if (topology === undefined || topology.primaries[shard.shard] !== child) return
    shard.heldVersion = topology.version
    this.alarm.setBy(this.ports.clock.now() + RETRY_MS)
  }

  /** The child has ended, and all that it was asked for up to then. */
  onUnwatched({ child, id }: Unwatched): void {
    const lost = Array.from(this.subscriptions.values()).filter(
      (subscription) => subscription.child === child && subscription.id <= id,
    )
    for (const subscription of lost) {
      this.subscriptions.delete(subscription.id)
      this.lose(subscription)
      for (const shard of subscription.shards.values()) this.findAgain(shard, child)
    }
    for (const { watch } of lost) this.arrange(watch)
  }

  private onAlarm(): number {
    for (const watch of this.watches) for (const shard of watch.shards) shard.heldVersion = -1
    this.arrangeAll()
    return Infinity
  }

  private scheduleFlush(): void {
    if (this.isFlushDue) return
    this.isFlushDue = true
    queueMicrotask(() => {
      this.isFlushDue = false
      if (this.home !== undefined) this.flush()
    })
  }

  private flush(): void {
    for (const watch of this.restarted) if (this.watches.has(watch)) this.arrange(watch)
    this.restarted.clear()
    const { unsent, unwatches } = this
    this.unsent = []
    this.unwatches = []
    const asked = unsent.filter(({ id }) => this.subscriptions.has(id))
    for (const [child, some] of byChild(asked)) this.sendWatches(child, some)
    for (const [child, some] of byChild(Array.from(this.grants.keys())))
      this.sendGrants(child, some)
    this.grants.clear()
    for (const [child, some] of byChild(unwatches)) this.sendUnwatches(child, some)
  }

  private sendWatches(child: number, subscriptions: readonly Subscription[]): void {
    let items = new WireWriter()
    let count = 0
    for (const subscription of subscriptions) {
      const { id, credit, shards, watch } = subscription
      const starts = Array.from(shards.values(), ({ shard, position }) => ({ shard, ...position }))
      writeWatch(items, { id, credit, what: selectionAt(subscription, watch), starts })
      count += 1
      if (items.position < BATCH_BYTES_SOFT) continue
      this.ports.send(encodeClientMessage({ type: 'watch', id, child, body: bodyOf(count, items) }))
      items = new WireWriter()
      count = 0
    }
    const last = subscriptions.at(-1)
    if (count === 0 || last === undefined) return
    const body = bodyOf(count, items)
    this.ports.send(encodeClientMessage({ type: 'watch', id: last.id, child, body }))
  }

  private sendGrants(child: number, subscriptions: readonly Subscription[]): void {
    for (let start = 0; start < subscriptions.length; start += IDS_PER_MESSAGE) {
      const grants: CreditGrant[] = subscriptions
        .slice(start, start + IDS_PER_MESSAGE)
        .map((subscription) => ({
          id: subscription.id,
          bytes: this.grants.get(subscription) ?? 0,
        }))
      const writer = new WireWriter()
      writeCredits(writer, grants)
      this.ports.send(encodeClientMessage({ type: 'credit', child, body: writer.written() }))
    }
  }

  private sendUnwatches(child: number, subscriptions: readonly Subscription[]): void {
    for (let start = 0; start < subscriptions.length; start += IDS_PER_MESSAGE) {
      const ids = subscriptions.slice(start, start + IDS_PER_MESSAGE).map(({ id }) => id)
      const writer = new WireWriter()
      writeUnwatches(writer, ids)
      this.ports.send(encodeClientMessage({ type: 'unwatch', child, body: writer.written() }))
    }
  }

  /** The client is over: so are they, for this reason. */
  end(error: KvError): void {
    this.refusal = error
    this.onDisconnected()
    for (const watch of this.watches) watch.end(error)
    this.watches.clear()
  }
}

function byChild(subscriptions: readonly Subscription[]): Map<number, Subscription[]> {
  const found = new Map<number, Subscription[]>()
  for (const subscription of subscriptions) {
    const others = found.get(subscription.child)
    if (others === undefined) found.set(subscription.child, [subscription])
    else others.push(subscription)
  }
  return found
}

/** What of a watch concerns the shards of a subscription. */
function selectionAt(subscription: Subscription, watch: WatchCore): WatchCore['settings']['what'] {
  const { what } = watch.settings
  if (what.keys === undefined) return what
  const keys = what.keys.filter((key) => subscription.shards.has(watch.shardOfKey(key)))
  return { keys }
}

function bodyOf(count: number, items: WireWriter): Uint8Array {
  const body = new WireWriter(items.position + 5)
  body.array(count)
  body.raw(items.bytes, 0, items.position)
  return body.written()
}
