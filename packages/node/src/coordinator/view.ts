/**
 * What one round of planning looks at: the state, and where everything should be.
 *
 * Children that are ready count, and those whose first start is under way: waiting for these saves
 * moving everything again. A child that ended is not waited for. One that is leaving gets nothing
 * more, and so everything it has belongs elsewhere.
 */
import { NO_CHILD } from '@kv/protocol'
import { isComing } from './child-state.js'
import type { CopyState } from './copy-state.js'
import { isAiling, isHeld } from './copy-state.js'
import type { NodeState } from './node-state.js'
import type { PlacedShard, Placement } from './placement.js'
import { place } from './placement.js'
import type { Candidates } from './primaries.js'
import { choosePrimaries } from './primaries.js'
import type { ShardState } from './shard-state.js'
import { hasPrimary, isMember, primaryOf, usableMembers } from './shard-state.js'
import type { OpeningsByChild } from './suspects.js'
import { openingsOf } from './suspects.js'

export interface View {
  /** Monotonic. */
  readonly nowMs: number
  readonly minInSync: number
  readonly ready: ReadonlySet<number>
  /** The children that get nothing any more. */
  readonly leaving: ReadonlySet<number>
  /**
   * Whether a child is being killed, or a shard has nobody and there is hope, or more children are
   * about to be there: not a time to move.
   */
  readonly isUnsettled: boolean
  /** What is opened where, if something is to be opened alone; told of each step as it is decided. */
  readonly openings: OpeningsByChild | undefined
  /** Where the copies should be. One that is not in it has no place. */
  readonly placement: Placement
  /** Shard → the child that should be primary, of those that could be. */
  readonly primaries: ReadonlyMap<number, number>
}

export function viewOf(state: NodeState, nowMs: number): View {
  const ready = new Set<number>()
  const hosts: number[] = []
  for (const child of state.children) {
    if (child.phase === 'ready') ready.add(child.id)
    if (child.isLeaving) continue
    if (child.phase === 'ready' || child.isExpected) hosts.push(child.id)
  }
  const placement = place(state.shards.map(placedShard), hosts)
  const leaving = new Set(state.children.flatMap(({ id, isLeaving }) => (isLeaving ? [id] : [])))
  const known = { ready, leaving, placement }
  const candidates = state.shards.flatMap((shard) => candidatesOf(shard, known) ?? [])
  return {
    nowMs,
    minInSync: state.minInSync,
    ready,
    leaving,
    isUnsettled:
      state.children.some((child) => child.phase === 'ending' || isComing(child)) ||
      state.shards.some(isWaiting),
    openings: openingsOf(state.shards, nowMs),
    placement,
    primaries: choosePrimaries(candidates, hosts),
  }
}

function isWaiting(shard: ShardState): boolean {
  return !hasPrimary(shard) && usableMembers(shard).some((copy) => !isAiling(copy))
}

export function placeOf(view: Pick<View, 'placement'>, shard: number, copy: number): number {
  return view.placement.get(shard)?.get(copy) ?? NO_CHILD
}

/** Whether the copy is to be hosted, as it is or made anew. */
export function isPlaceable(shard: ShardState, copy: CopyState): boolean {
  if (copy.phase === 'lost') return false
  return copy.phase !== 'damaged' || isReplaceable(shard, copy)
}

/** A damaged copy is given up only while another serves, and nothing counts on what it held. */
export function isReplaceable(shard: ShardState, copy: CopyState): boolean {
  const primary = primaryOf(shard)
  const isServed = primary.phase === 'open' && primary.role === 'primary'
  return isServed && !isMember(shard, copy.copy)
}

/** The copies that are to be hosted; those that matter most first, should there be few children. */
function placedShard(shard: ShardState): PlacedShard {
  const copies = shard.copies
    .filter((copy) => isPlaceable(shard, copy))
    .map((copy) => ({ copy, rank: rankOf(shard, copy) }))
    .toSorted(
      (left, right) =>
        left.rank - right.rank ||
        left.copy.failures - right.copy.failures ||
        left.copy.copy - right.copy.copy,
    )
    .map(({ copy: { copy, child } }) => ({ copy, child, isPrimary: copy === shard.primary }))
  return { id: shard.id, copies }
}

/** While nobody serves the shard, the copies from which it can be served go before all others. */
function rankOf(shard: ShardState, copy: CopyState): number {
  const holds = isHeld(copy)
  const belongs = isMember(shard, copy.copy)
  if (hasPrimary(shard)) return copy.copy === shard.primary ? 0 : holds ? 1 : belongs ? 2 : 3
  return belongs ? (holds ? 0 : 1) : holds ? 2 : 3
}

function candidatesOf(
  shard: ShardState,
  view: Pick<View, 'placement' | 'ready' | 'leaving'>,
): Candidates | undefined {
  return hasPrimary(shard) ? heirsOf(shard, view) : claimantsOf(shard, view)
}

/** Of a shard with a primary: that one if it may stay, and those that could take over as they are. */
function heirsOf(
  shard: ShardState,
  view: Pick<View, 'placement' | 'ready'>,
): Candidates | undefined {
  const primary = primaryOf(shard)
  if (!view.ready.has(primary.child)) return undefined
  const fit = shard.copies.filter(
    (copy) =>
      placeOf(view, shard.id, copy.copy) === copy.child &&
      (copy.copy === shard.primary || isWarm(shard, copy, view.ready)),
  )
  const children = fit.map((copy) => copy.child)
  return {
    id: shard.id,
    primary: primary.child,
    children: children.length === 0 ? [primary.child] : children,
  }
}

/** Of a shard without one: the copies that are open, or else those that could be opened. */
function claimantsOf(
  shard: ShardState,
  view: Pick<View, 'placement' | 'ready' | 'leaving'>,
): Candidates | undefined {
  const members = usableMembers(shard)
  const warm = members.filter((copy) => isWarm(shard, copy, view.ready))
  const closed = members.filter(({ phase }) => phase === 'closed')
  const sound = closed.filter((copy) => !isAiling(copy))
  const claimants = warm.length > 0 ? warm : sound.length > 0 ? sound : closed
  const childOfCopy = (copy: CopyState): number =>
    warm.length > 0 ? copy.child : placeOf(view, shard.id, copy.copy)
  const able = claimants.map(childOfCopy).filter((child) => child !== NO_CHILD)
  if (able.length === 0) return undefined
  // One that is leaving serves only what nobody else can.
  const staying = able.filter((child) => !view.leaving.has(child))
  const children = staying.length > 0 ? staying : able
  const isNew = shard.epoch === 0
  return { id: shard.id, primary: isNew ? NO_CHILD : childOfCopy(primaryOf(shard)), children }
}

/** A backup that is open and holds everything acknowledged: it can be primary where it is. */
export function isWarm(shard: ShardState, copy: CopyState, ready: ReadonlySet<number>): boolean {
  const isOpen = copy.phase === 'open' && copy.role === 'backup'
  return isOpen && isMember(shard, copy.copy) && ready.has(copy.child)
}
