/**
 * Which copy of a shard answers replica reads. Pure.
 *
 * The rule: replica reads of one shard that are made in one turn go to one copy, so that they travel
 * together; after `RUN_CALLS` of them it is chosen anew. It is the copy whose child has the fewest
 * reads of this client before it, sent or not; among equals the one after the last. So the load is
 * divided where there is nothing else to choose by, and a child that is slow to answer is asked less.
 *
 * A backup that refuses (it is not in sync any more, or its child is gone) gets the shard's reads no
 * more for `REST_MS` or until the next topology: they go to the primary.
 */
import type { ChildLanes } from './batch.js'
import type { Outbox } from './outbox.js'
import type { ShardRoute } from './router.js'

export const REST_MS = 1_000
/** As many calls as a batch needs to be no small one (`outbox.ts`). */
const RUN_CALLS = 16

export class Spread {
  private readonly outbox: Outbox
  private readonly lanesOf: (child: number) => ChildLanes
  private turn = 0
  private nowMs = 0

  constructor(outbox: Outbox, lanesOf: (child: number) => ChildLanes) {
    this.outbox = outbox
    this.lanesOf = lanesOf
  }

  /** What is asked from now on may go to another copy. */
  onTurnEnd(now: number): void {
    this.turn += 1
    this.nowMs = now
  }

  /** Whether the shard has copies that may be asked beside its primary. */
  canSpread(route: ShardRoute): boolean {
    return route.backups.length > 0 && route.restsUntil <= this.nowMs
  }

  /** The lanes for replica reads of a shard that can be spread and is not held. */
  lanesFor(route: ShardRoute): ChildLanes {
    const copies = (route.copies ??= [route.child, ...route.backups].map(this.lanesOf))
    if (route.spreadTurn !== this.turn || route.runLeft === 0) {
      route.spreadTurn = this.turn
      route.runLeft = RUN_CALLS
      route.copy = this.leastAsked(copies, route.copy)
    }
    route.runLeft -= 1
    return copies[route.copy]!
  }

  private leastAsked(copies: readonly ChildLanes[], last: number): number {
    let best = 0
    let fewest = Infinity
    for (let step = 1; step <= copies.length; step += 1) {
      const index = (last + step) % copies.length
      const lanes = copies[index]!
      const asked = lanes.unsentReads + this.outbox.readsUnderWay(lanes.child)
      if (asked >= fewest) continue
      best = index
      fewest = asked
    }
    return best
  }

  /** A backup did not answer a read of the shard: its primary will. */
  onRefused(route: ShardRoute, now: number): void {
    route.restsUntil = now + REST_MS
  }
}
