/**
 * Which child serves a shard, and whether calls may go there now. Pure.
 *
 * A shard is *held* while its calls must wait: it has no primary, a call of it came back as
 * `MOVED` and no newer topology is known, or earlier writes to its former primary have not come
 * back yet. Calls of a held shard gather in its waiting room, so that the writes of one client to
 * one shard take effect in the order they were made, also when some are sent again.
 */
import type { Topology } from '@kv/protocol'
import { NO_CHILD, protocolError } from '@kv/protocol'
import { backoffMs } from '../connection/backoff.js'
import type { ChildLanes } from './batch.js'
import type { CallBuffer } from './call-buffer.js'
import type { CallRoute } from './pending-call.js'

/** Waits before calls that found a shard unavailable are sent again under the same topology. */
const RETRY_DELAYS = { baseMs: 20, maxMs: 500 } as const

const NEVER_MOVED = -1
const NO_BACKUPS: readonly number[] = []

export class ShardRoute implements CallRoute {
  readonly shard: number
  writesUnanswered = 0
  writesInFlight = 0
  child: number = NO_CHILD
  epoch = 0
  /** Children that may be asked for replica reads, beside the primary. */
  backups: readonly number[] = NO_BACKUPS
  isHeld = true
  /** The child's batches; kept by the batcher while the shard is not held. */
  lanes: ChildLanes | undefined = undefined
  /** Where calls wait while the shard is held. */
  room: CallBuffer | undefined = undefined
  /** A call routed by this version came back: a newer one is needed. */
  movedVersion: number = NEVER_MOVED
  /** Writes to a former primary must come back before others go to the new one. */
  isDraining = false
  retryAt = 0
  retries = 0
  /** Lanes of primary and backups, once replica reads have asked for them; kept by `spread.ts`. */
  copies: ChildLanes[] | undefined = undefined
  /** Position among them of the one that took replica reads last, and in which turn. */
  copy = 0
  spreadTurn = -1
  /** Calls of the turn that still go to that copy. */
  runLeft = 0
  /** Until then its primary answers replica reads. */
  restsUntil = 0

  constructor(shard: number) {
    this.shard = shard
  }
}

export class Router {
  topology: Topology | undefined = undefined
  routes: ShardRoute[] = []
  /** Waiting rooms of routes that are no more: their calls have to be placed anew. */
  strayRooms: CallBuffer[] = []
  /** Something changed that may hold or release a shard: the batcher must look again. */
  needsRefresh = false

  get version(): number {
    return this.topology?.version ?? 0
  }

  routeOf(hash: number): ShardRoute {
    return this.routes[hash & (this.routes.length - 1)]!
  }

  /**
   * Takes a topology over if it is newer. `isOtherCluster` says that versions can't be compared:
   * every route begins anew.
   */
  adopt(topology: Topology, isOtherCluster: boolean): boolean {
    const startAnew = isOtherCluster || this.topology === undefined
    assertShardCount(topology, startAnew ? undefined : this.topology)
    if (!startAnew && topology.version <= this.version) return false
    if (startAnew) {
      for (const { room } of this.routes) if (room !== undefined) this.strayRooms.push(room)
      this.routes = Array.from({ length: topology.shardCount }, (_, shard) => new ShardRoute(shard))
    }
    this.topology = topology
    this.needsRefresh = true
    for (const route of this.routes) {
      const child = topology.primaries[route.shard] ?? NO_CHILD
      const epoch = topology.epochs[route.shard] ?? 0
      if (child !== route.child || epoch !== route.epoch) route.isDraining = true
      route.child = child
      route.epoch = epoch
      route.backups = topology.backups[route.shard] ?? NO_BACKUPS
      route.restsUntil = 0
      route.retryAt = 0
      route.retries = 0
    }
    return true
  }

  /** A call routed by `version` was answered `MOVED`. */
  onMoved(route: ShardRoute, version: number): void {
    route.movedVersion = Math.max(route.movedVersion, version)
    route.isDraining = true
    const mayGo = route.movedVersion < this.version && route.writesInFlight === 0
    if (!route.isHeld || mayGo) this.needsRefresh = true
  }

  /**
   * A call found the shard unavailable: try again after a while, or with the next topology. Until
   * then later writes must not overtake one that is to be sent again.
   */
  onUnavailable(route: ShardRoute, now: number, random: () => number): void {
    this.needsRefresh = true
    route.isDraining = true
    if (route.retryAt > now) return
    route.retryAt = now + 1 + backoffMs(RETRY_DELAYS, route.retries, random)
    route.retries += 1
  }

  /** A write came back to a shard that may be waiting for it. */
  onWriteBack(route: ShardRoute): void {
    if (route.isDraining && route.writesInFlight === 0) this.needsRefresh = true
  }

  /** Decides anew for every shard whether it is held. */
  refresh(now: number): void {
    this.needsRefresh = false
    for (const route of this.routes) {
      if (route.writesInFlight === 0) route.isDraining = false
      if (route.retryAt <= now) route.retryAt = 0
      route.isHeld =
        route.child === NO_CHILD ||
        route.movedVersion >= this.version ||
        route.retryAt > 0 ||
        route.isDraining
    }
  }

  /** When a shard is to be looked at again for the time that has passed, or `Infinity`. */
  nextRetryAt(): number {
    let next = Infinity
    for (const { retryAt } of this.routes) {
      if (retryAt > 0 && retryAt < next) next = retryAt
    }
    return next
  }
}

/** A key's shard is the low bits of its hash, and must never change. */
function assertShardCount({ shardCount }: Topology, former: Topology | undefined): void {
  if (shardCount < 1 || (shardCount & (shardCount - 1)) !== 0) {
    throw protocolError(`a topology of ${shardCount} shards, which is no power of two`)
  }
  if (former !== undefined && former.shardCount !== shardCount) {
    throw protocolError(`a topology of ${shardCount} shards where ${former.shardCount} are due`)
  }
}
