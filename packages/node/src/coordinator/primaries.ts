/**
 * Which of its copies is to be primary of each shard, so that the primaries per child are within one
 * of even if the copies allow it, and few change. Pure.
 *
 * A primary that may stay stays. While some child has two more than another, a way is looked for
 * along which one primary each can change hands from the first to the second. Where there is none
 * the primaries are as even as the copies allow: it is the assignment of a bipartite graph.
 */
import { byPreference } from './rendezvous.js'

export interface Candidates {
  readonly id: number
  /** The child of the copy that is primary, or was last; not one of `children` if it can't stay. */
  readonly primary: number
  /** The children of the copies that may be primary: distinct, at least one. */
  readonly children: readonly number[]
}

/** Shard → child. */
export function choosePrimaries(
  shards: readonly Candidates[],
  children: readonly number[],
): ReadonlyMap<number, number> {
  const chosen = new Map<number, number>()
  const load = new Map(children.map((child) => [child, 0]))
  // A child that is leaving is not one of `children`, but may have what nobody else can have yet.
  const loadOf = (child: number): number => load.get(child) ?? 0
  const count = (child: number, by: number): void => {
    load.set(child, loadOf(child) + by)
  }
  for (const shard of shards) {
    if (!shard.children.includes(shard.primary)) continue
    chosen.set(shard.id, shard.primary)
    count(shard.primary, 1)
  }
  for (const shard of shards) {
    if (chosen.has(shard.id)) continue
    const prefer = byPreference(shard.id)
    const [child] = shard.children.toSorted(
      (left, right) => loadOf(left) - loadOf(right) || prefer(left, right),
    )
    chosen.set(shard.id, child!)
    count(child!, 1)
  }
  for (;;) {
    const way = findWay(shards, chosen, load)
    if (way === undefined) return chosen
    for (const { shard, to } of way) chosen.set(shard, to)
    count(way.at(-1)!.to, 1)
    count(way[0]!.from, -1)
  }
}

/** A primary that changes hands. */
interface Change {
  readonly shard: number
  readonly from: number
  readonly to: number
}

function findWay(
  shards: readonly Candidates[],
  chosen: ReadonlyMap<number, number>,
  load: ReadonlyMap<number, number>,
): readonly Change[] | undefined {
  const least = Math.min(...load.values())
  const heavy = [...load].filter(([, count]) => count >= least + 2)
  if (heavy.length === 0) return undefined
  const changes = changesByChild(shards, chosen)
  for (const [from, count] of heavy.toSorted(([, left], [, right]) => right - left)) {
    const way = shortestWay(from, changes, (child) => load.get(child)! <= count - 2)
    if (way !== undefined) return way
  }
  return undefined
}

function changesByChild(
  shards: readonly Candidates[],
  chosen: ReadonlyMap<number, number>,
): ReadonlyMap<number, readonly Change[]> {
  const changes = new Map<number, Change[]>()
  for (const { id, children } of shards) {
    const from = chosen.get(id)!
    for (const to of children) {
      if (to === from) continue
      const known = changes.get(from)
      if (known === undefined) changes.set(from, [{ shard: id, from, to }])
      else known.push({ shard: id, from, to })
    }
  }
  return changes
}

/** Breadth first, so that as few primaries as possible change hands. */
function shortestWay(
  from: number,
  changes: ReadonlyMap<number, readonly Change[]>,
  isGoal: (child: number) => boolean,
): readonly Change[] | undefined {
  const reachedBy = new Map<number, Change>()
  const queue = [from]
  for (let child = queue.shift(); child !== undefined; child = queue.shift()) {
    for (const change of changes.get(child) ?? []) {
      if (change.to === from || reachedBy.has(change.to)) continue
      reachedBy.set(change.to, change)
      if (isGoal(change.to)) return wayTo(change, from, reachedBy)
      queue.push(change.to)
    }
  }
  return undefined
}

function wayTo(
  last: Change,
  from: number,
  reachedBy: ReadonlyMap<number, Change>,
): readonly Change[] {
  const way = [last]
  while (way[0]!.from !== from) way.unshift(reachedBy.get(way[0]!.from)!)
  return way
}
