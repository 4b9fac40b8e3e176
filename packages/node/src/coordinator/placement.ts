/**
 * Which child is to host which copy of which shard: a pure function of the placement that stands and
 * the children that are there (hard-parts 26).
 *
 * The copies of a shard are in different children. The copies per child end within one of even, and
 * as few as possible move: a child keeps what it has up to its quota, larger quotas go to the
 * children that hold most already; primaries are kept before backups. What has no child, or is above
 * a quota, goes where it ranks highest among the children with room. It follows that a child that
 * joins takes its share and nothing else moves, and that a child that leaves moves only what it had.
 * (With several copies one more may have to move, where the only child with room has a copy already.)
 */
import { byPreference, score } from './rendezvous.js'

export interface PlacedShard {
  readonly id: number
  /** In the order of who comes first, should there be more of them than children. */
  readonly copies: readonly PlacedCopy[]
}

/** A copy and the child that hosts it; a child that is not there any more counts as none. */
export interface PlacedCopy {
  readonly copy: number
  readonly child: number
  readonly isPrimary: boolean
}

/** By shard: copy → child. */
export type Placement = ReadonlyMap<number, ReadonlyMap<number, number>>

/** Shard ids and children are distinct. Without children nothing is placed. */
export function place(shards: readonly PlacedShard[], children: readonly number[]): Placement {
  if (children.length === 0) return new Map()
  const wanted = shards.map(({ id, copies }) => ({ id, copies: copies.slice(0, children.length) }))
  const seats = new Seats(wanted, children)
  seats.keep()
  for (const { id, copies } of wanted) seats.fill(id, copies.length)
  return new Map(wanted.map(({ id, copies }) => [id, matched(id, copies, seats.of(id))]))
}

/** Copies stay where they are if that is one of the shard's seats; the others take what is left. */
function matched(
  shard: number,
  copies: readonly PlacedCopy[],
  seats: ReadonlySet<number>,
): ReadonlyMap<number, number> {
  const left = new Set(seats)
  const placed = new Map<number, number>()
  for (const { copy, child } of copies) if (left.delete(child)) placed.set(copy, child)
  const free = [...left].toSorted(byPreference(shard))
  for (const { copy } of copies) if (!placed.has(copy)) placed.set(copy, free.shift()!)
  return placed
}

interface Guest {
  readonly shard: number
  readonly isPrimary: boolean
}

/** Which shards each child is to have a copy of. */
class Seats {
  private readonly children: readonly number[]
  /** By child: the shards it has a copy of today. */
  private readonly held: ReadonlyMap<number, Guest[]>
  /** By child: the shards it keeps, then also those it is given. */
  private readonly kept: ReadonlyMap<number, Map<number, Guest>>
  private readonly given: ReadonlyMap<number, Set<number>>
  private readonly seats = new Map<number, Set<number>>()
  private readonly quota: ReadonlyMap<number, number>

  constructor(shards: readonly PlacedShard[], children: readonly number[]) {
    this.children = children
    this.held = new Map(children.map((child) => [child, []]))
    this.kept = new Map(children.map((child) => [child, new Map<number, Guest>()]))
    this.given = new Map(children.map((child) => [child, new Set<number>()]))
    let count = 0
    for (const { id, copies } of shards) {
      count += copies.length
      this.seats.set(id, new Set())
      const taken = new Set<number>()
      for (const { child, isPrimary } of copies) {
        if (taken.has(child)) continue
        taken.add(child)
        this.held.get(child)?.push({ shard: id, isPrimary })
      }
    }
    this.quota = quotas(this.held, count)
  }

  of(shard: number): ReadonlySet<number> {
    return this.seats.get(shard)!
  }

  /** Each child keeps what it ranks highest for, up to its quota. */
  keep(): void {
    const shed = new Set<number>()
    for (const [child, guests] of this.held) {
      const surplus = Math.max(0, guests.length - this.quota.get(child)!)
      const leaving = surplus === 0 ? new Set() : leastWanted(child, guests, { surplus, shed })
      for (const guest of guests) {
        if (leaving.has(guest.shard)) shed.add(guest.shard)
        else {
          this.kept.get(child)!.set(guest.shard, guest)
          this.seats.get(guest.shard)!.add(child)
        }
      }
    }
  }

  /** Finds children for the shard until it has this many. */
  fill(shard: number, count: number): void {
    const seats = this.seats.get(shard)!
    while (seats.size < count) {
      if (!this.give(shard, new Set()) && !this.exchange(shard)) {
        throw new Error('placement: the quotas are smaller than the copies')
      }
    }
  }

  private room(child: number): number {
    const has = this.kept.get(child)!.size + this.given.get(child)!.size
    return this.quota.get(child)! - has
  }

  /**
   * Gives the shard to the most wanted child with room, if need be by giving elsewhere what a full
   * child was given before: an augmenting path, as in the matching of Kuhn.
   */
  private give(shard: number, visited: Set<number>): boolean {
    const seats = this.seats.get(shard)!
    const options = this.children.filter((child) => !seats.has(child) && !visited.has(child))
    const free = mostWanted(
      shard,
      options.filter((child) => this.room(child) > 0),
    )
    if (free !== undefined) {
      this.seat(shard, free)
      return true
    }
    for (const child of options.toSorted(byPreference(shard))) {
      visited.add(child)
      const guests = [...this.given.get(child)!]
      for (const guest of guests) {
        this.unseat(guest, child)
        this.seat(shard, child)
        if (this.give(guest, visited)) return true
        this.unseat(shard, child)
        this.seat(guest, child)
      }
    }
    return false
  }

  /**
   * Every child with room has the shard. One of them takes something from a full child that has not:
   * there is such a thing, since the full child has at least as many shards, and not this one.
   */
  private exchange(shard: number): boolean {
    const seats = this.seats.get(shard)!
    const hosts = this.children.filter((child) => !seats.has(child)).toSorted(byPreference(shard))
    const takers = this.children.filter((child) => this.room(child) > 0)
    for (const taker of takers) {
      for (const host of hosts) {
        const guests = [...this.kept.get(host)!.values()].filter(
          (guest) => !this.seats.get(guest.shard)!.has(taker),
        )
        const guest = guests.toSorted(byWorth(host)).at(-1)
        if (guest === undefined) continue
        this.kept.get(host)!.delete(guest.shard)
        this.seats.get(guest.shard)!.delete(host)
        this.seat(guest.shard, taker)
        this.seat(shard, host)
        return true
      }
    }
    return false
  }

  private seat(shard: number, child: number): void {
    this.given.get(child)!.add(shard)
    this.seats.get(shard)!.add(child)
  }

  private unseat(shard: number, child: number): void {
    this.given.get(child)!.delete(shard)
    this.seats.get(shard)!.delete(child)
  }
}

function mostWanted(shard: number, children: readonly number[]): number | undefined {
  const prefer = byPreference(shard)
  let best: number | undefined
  for (const child of children) if (best === undefined || prefer(child, best) < 0) best = child
  return best
}

/** How many copies each child is to have: all even, the remainder to those that hold most. */
function quotas(held: ReadonlyMap<number, readonly Guest[]>, count: number): Map<number, number> {
  const even = Math.floor(count / held.size)
  const larger = count % held.size
  const byHeld = [...held].toSorted(
    ([left, leftIds], [right, rightIds]) => rightIds.length - leftIds.length || left - right,
  )
  return new Map(byHeld.map(([child], index) => [child, index < larger ? even + 1 : even]))
}

/** What a child keeps first: primaries, and what it ranks highest for. */
function byWorth(child: number): (left: Guest, right: Guest) => number {
  return (left, right) =>
    Number(right.isPrimary) - Number(left.isPrimary) ||
    score(right.shard, child) - score(left.shard, child) ||
    left.shard - right.shard
}

/**
 * What a child lets go of. Not what another lets go of as well, if that can be: the child that has
 * room for both could take one of them only.
 */
function leastWanted(
  child: number,
  guests: readonly Guest[],
  { surplus, shed }: { readonly surplus: number; readonly shed: ReadonlySet<number> },
): ReadonlySet<number> {
  const leastFirst = guests.toSorted(byWorth(child)).reverse()
  const alone = leastFirst.filter((guest) => !shed.has(guest.shard))
  const shared = leastFirst.filter((guest) => shed.has(guest.shard))
  return new Set([...alone, ...shared].slice(0, surplus).map((guest) => guest.shard))
}
