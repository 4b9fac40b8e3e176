/**
 * Which child is to be primary for which shard: a pure function of the placement that stands and
 * the children that are there (hard-parts 26).
 *
 * The shards per child end within one of even, and as few as possible move: a child keeps what it
 * has up to its quota, larger quotas go to the children that hold most already. What has no child,
 * or is above a quota, goes where it ranks highest among the children with room. It follows that
 * a child that joins takes its share and nothing else moves, and that a child that leaves moves
 * only what it had.
 */
import { byPreference, score } from './rendezvous.js'

/** A shard and the child that hosts it; a child that is not there any more counts as none. */
export interface PlacedShard {
  readonly id: number
  readonly child: number
}

/** Shard → child. Empty without children. Shard ids and children are distinct. */
export function place(
  shards: readonly PlacedShard[],
  children: readonly number[],
): ReadonlyMap<number, number> {
  const placed = new Map<number, number>()
  if (children.length === 0) return placed
  const held = shardsByChild(shards, children)
  const room = quotas(held, shards.length)
  for (const [child, ids] of held) {
    const kept = ids.toSorted(byRankOn(child)).slice(0, room.get(child))
    for (const id of kept) placed.set(id, child)
    room.set(child, room.get(child)! - kept.length)
  }
  const homeless = shards.map((shard) => shard.id).filter((id) => !placed.has(id))
  for (const id of homeless.toSorted((left, right) => left - right)) {
    const child = mostWanted(id, room)
    placed.set(id, child)
    room.set(child, room.get(child)! - 1)
  }
  return placed
}

function shardsByChild(
  shards: readonly PlacedShard[],
  children: readonly number[],
): ReadonlyMap<number, number[]> {
  const held = new Map<number, number[]>(children.map((child) => [child, []]))
  for (const shard of shards) held.get(shard.child)?.push(shard.id)
  return held
}

/** How many shards each child is to have: all even, the remainder to those that hold most. */
function quotas(held: ReadonlyMap<number, number[]>, shardCount: number): Map<number, number> {
  const even = Math.floor(shardCount / held.size)
  const larger = shardCount % held.size
  const byHeld = [...held].toSorted(
    ([left, leftIds], [right, rightIds]) => rightIds.length - leftIds.length || left - right,
  )
  return new Map(byHeld.map(([child], index) => [child, index < larger ? even + 1 : even]))
}

/** The shards a child keeps first: those it ranks highest for. */
function byRankOn(child: number): (left: number, right: number) => number {
  return (left, right) => score(right, child) - score(left, child) || left - right
}

function mostWanted(shard: number, room: ReadonlyMap<number, number>): number {
  const prefer = byPreference(shard)
  let best: number | undefined
  for (const [child, free] of room) {
    if (free > 0 && (best === undefined || prefer(child, best) < 0)) best = child
  }
  if (best === undefined) throw new Error('placement: the quotas are smaller than the shards')
  return best
}
