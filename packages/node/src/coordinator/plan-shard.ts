/**
 * The next steps of one shard: pure, and safe in themselves.
 *
 * - open: a shard that nobody has as primary gets one (P5). Any copy in sync will do, for each holds
 *   everything acknowledged: one that is open before one that is closed, then as placement wishes.
 *   The new set is the members that a living child hosts, and the new primary (hard-parts 20).
 * - back: every other copy is opened as backup where placement wants it, while there is a primary to
 *   follow. Those that are open are told when the primary is another. A copy that was given up as
 *   damaged is made anew.
 * - release: a backup that is not in sync makes room for a copy that is, if there are so few
 *   children that the shard could not be served otherwise; and for a child that is leaving, if
 *   nobody serves the shard: it could not be moved.
 * - tell: the primary learns of each set that was persisted.
 */
import { NO_CHILD } from '@kv/protocol'
import type { CopyState } from './copy-state.js'
import { isAiling, isHeld } from './copy-state.js'
import { carryOutShard } from './node-state.js'
import type { ShardState } from './shard-state.js'
import {
  hasPrimary,
  isHeldBy,
  isMember,
  nextHosting,
  primaryOf,
  usableMembers,
} from './shard-state.js'
import type { ShardStep } from './step.js'
import type { View } from './view.js'
import { isReplaceable, isWarm, placeOf } from './view.js'

export function planShard(shard: ShardState, view: View): readonly ShardStep[] {
  if (hasPrimary(shard)) return [...backs(shard, view), ...tellings(shard, view)]
  const open = promotion(shard, view)
  if (open === undefined) return roomMade(shard, view)
  const promoted = carryOutShard(shard, open)
  const others = backs(promoted, view)
  const counted = others.filter((step) => countsAtOnce(shard, open, step))
  const hosted = counted.reduce(carryOutShard, promoted)
  return [{ ...open, inSync: setOf(hosted, view) }, ...others]
}

/**
 * Whether who is told in the same round to host a copy counts as hosting it. At a start everybody
 * does: else the set would shrink each time. After a failover the copy of the dead child does not:
 * the first thing the new primary commits would wait until somebody has opened it. One that its
 * living child has just let go of, for a move, is back in a moment.
 */
function countsAtOnce(
  shard: ShardState,
  open: Extract<ShardStep, { type: 'open' }>,
  step: ShardStep,
): boolean {
  if (step.type !== 'back') return false
  const isStart = shard.copies[open.copy]!.phase === 'closed'
  return isStart || shard.copies[step.copy]!.child === step.child
}

function promotion(
  shard: ShardState,
  view: View,
): Extract<ShardStep, { type: 'open' }> | undefined {
  const copy = chosenPrimary(shard, view)
  if (copy === undefined) return undefined
  const isOpen = copy.phase === 'open'
  return {
    type: 'open',
    shard: shard.id,
    copy: copy.copy,
    child: isOpen ? copy.child : placeOf(view, shard.id, copy.copy),
    hosting: isOpen ? copy.hosting : nextHosting(shard),
    epoch: shard.epoch + 1,
    inSync: shard.inSync,
    atMs: view.nowMs,
  }
}

function chosenPrimary(shard: ShardState, view: View): CopyState | undefined {
  const members = usableMembers(shard)
  const wanted = view.primaries.get(shard.id)
  const warm = members.filter((copy) => isWarm(shard, copy, view.ready))
  if (warm.length > 0) return warm.find((copy) => copy.child === wanted) ?? warm[0]
  const closed = members.filter((copy) => copy.phase === 'closed')
  if (closed.some((copy) => isAwaited(shard, copy, view))) return undefined
  const able = closed.filter((copy) => canBeOpened(shard, copy, view))
  const preferred = able.find((copy) => placeOf(view, shard.id, copy.copy) === wanted)
  return preferred ?? able.toSorted((left, right) => left.failures - right.failures)[0]
}

/** Its child is starting for the first time: a shard without it would begin with less than it has. */
function isAwaited(shard: ShardState, copy: CopyState, view: View): boolean {
  const child = placeOf(view, shard.id, copy.copy)
  return child !== NO_CHILD && !view.ready.has(child) && !isAiling(copy)
}

function canBeOpened(shard: ShardState, copy: CopyState, view: View): boolean {
  const child = placeOf(view, shard.id, copy.copy)
  if (copy.retryAtMs > view.nowMs || !view.ready.has(child) || isHeldBy(shard, child)) return false
  return view.openings?.admits(copy, child, view.nowMs) ?? true
}

/** The members that can answer the new primary, and that one itself. */
function setOf(shard: ShardState, view: View): ShardState['inSync'] {
  const { version, members } = shard.inSync
  const remaining = members.filter((number) => {
    if (number === shard.primary) return true
    const copy = shard.copies[number]!
    const isThere = copy.phase === 'open' || (copy.phase === 'opening' && !isAiling(copy))
    return isThere && view.ready.has(copy.child)
  })
  if (remaining.length === members.length) return shard.inSync
  return { version: version + 1, members: remaining }
}

/** For a shard with a primary. */
function backs(shard: ShardState, view: View): readonly ShardStep[] {
  const primary = primaryOf(shard)
  // One that is about to go is nobody to follow: the next is near.
  if (primary.phase === 'releasing' || !view.ready.has(primary.child)) return []
  const steps: ShardStep[] = []
  let current = shard
  for (const copy of shard.copies) {
    const child = childToBack(current, copy, view)
    if (child === NO_CHILD) continue
    const step: ShardStep = {
      type: 'back',
      shard: shard.id,
      copy: copy.copy,
      child,
      hosting: isHeld(copy) ? copy.hosting : nextHosting(current),
      follows: shard.epoch,
      primaryChild: primary.child,
      atMs: view.nowMs,
    }
    steps.push(step)
    current = carryOutShard(current, step)
  }
  return steps
}

/** The child that is to be told about the copy now, if any. */
function childToBack(shard: ShardState, copy: CopyState, view: View): number {
  if (copy.copy === shard.primary) return NO_CHILD
  if (isHeld(copy)) {
    const isAstray = copy.phase === 'open' && copy.follows !== shard.epoch
    return isAstray && view.ready.has(copy.child) ? copy.child : NO_CHILD
  }
  const isFree = copy.phase === 'closed' || (copy.phase === 'damaged' && isReplaceable(shard, copy))
  return isFree && canBeOpened(shard, copy, view) ? placeOf(view, shard.id, copy.copy) : NO_CHILD
}

/** For a shard that nobody serves and nobody can be told to serve now. */
function roomMade(shard: ShardState, view: View): readonly ShardStep[] {
  const wanted = usableMembers(shard)
    .filter((copy) => copy.phase === 'closed')
    .map((copy) => placeOf(view, shard.id, copy.copy))
  return shard.copies
    .filter((copy) => copy.phase === 'open' && !isMember(shard, copy.copy))
    .filter(({ child }) => view.ready.has(child))
    .filter(({ child }) => wanted.includes(child) || view.leaving.has(child))
    .map(({ copy, child, hosting }) => {
      return { type: 'release', shard: shard.id, copy, child, hosting, atMs: view.nowMs }
    })
}

function tellings(shard: ShardState, view: View): readonly ShardStep[] {
  const { id, epoch, inSync, toldVersion } = shard
  const { child } = primaryOf(shard)
  if (toldVersion === inSync.version || !view.ready.has(child)) return []
  return [{ type: 'tell', shard: id, child, epoch, inSync }]
}
