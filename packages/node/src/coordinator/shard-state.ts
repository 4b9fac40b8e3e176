/**
 * What the coordinator knows of one shard: its copies, who of them is primary, which of them are in
 * sync. How the parts of it may change; what becomes of one copy is in `copy-state.ts`.
 *
 * P5: of the copies that are held at most one is primary, and only that of the present epoch: a copy
 * is promoted only when no process has another as primary any more.
 *
 * P1: each member of the in-sync set holds everything that was acknowledged. The set shrinks at a
 * promotion, to those that can answer the new primary, and when the primary asks for it; it grows
 * only when the primary asks (hard-parts 19, 20).
 */
import { NO_CHILD } from '@kv/protocol'
import type { InSync, InSyncChange } from '../link/control.js'
import type { CopyPhase, CopyState } from './copy-state.js'
import { becomeOpening, becomePromoted, closedCopy, isHeld, isUsable } from './copy-state.js'

export type ShardPhase = 'closed' | 'opening' | 'open' | 'releasing' | 'damaged'

export interface ShardState {
  readonly id: number
  /** Of the last promotion that was decided; grows by one with each. */
  readonly epoch: number
  /** The copy that is primary in this epoch. */
  readonly primary: number
  /** The copies that hold everything acknowledged. */
  readonly inSync: InSync
  /** The version of the set that the primary was told last. */
  readonly toldVersion: number
  /** By copy number. */
  readonly copies: readonly CopyState[]
}

/** A shard of so many copies that nobody has opened yet. */
export function newShard(id: number, known?: Partial<ShardState>): ShardState {
  const copies = known?.copies ?? [closedCopy(0)]
  const inSync = { version: 1, members: copies.map(({ copy }) => copy) }
  return { id, epoch: 0, primary: 0, inSync, toldVersion: 0, ...known, copies }
}

export function copyOf(shard: ShardState, number: number): CopyState {
  const copy = shard.copies[number]
  if (copy === undefined) throw new Error(`shard ${shard.id} has no copy ${number}`)
  return copy
}

export function withCopy(shard: ShardState, copy: CopyState): ShardState {
  return { ...shard, copies: shard.copies.with(copy.copy, copy) }
}

/** The copy that is primary in the present epoch, or was last. */
export function primaryOf(shard: ShardState): CopyState {
  return copyOf(shard, shard.primary)
}

/** Whether a process has the shard open as primary, or may have. */
export function hasPrimary(shard: ShardState): boolean {
  const primary = primaryOf(shard)
  return isHeld(primary) && primary.role === 'primary'
}

export function isMember(shard: ShardState, copy: number): boolean {
  return shard.inSync.members.includes(copy)
}

/** The copies from which the shard can be served: in sync, and there to be opened. */
export function usableMembers(shard: ShardState): readonly CopyState[] {
  return shard.copies.filter((copy) => isMember(shard, copy.copy) && isUsable(copy))
}

/** The copy that this child hosts under this number: what a message must say to count. */
export function hostedCopy(
  shard: ShardState,
  child: number,
  hosting: number,
): CopyState | undefined {
  return shard.copies.find(
    (copy) => isHeld(copy) && copy.child === child && copy.hosting === hosting,
  )
}

/** Whether the child has some copy of the shard open, or may have. It never has two. */
export function isHeldBy(shard: ShardState, child: number): boolean {
  return shard.copies.some((copy) => isHeld(copy) && copy.child === child)
}

/**
 * The next number of a hosting. It is unique in the shard, not in the copy alone: a late message
 * about one copy is never about another that the same child hosts since.
 */
export function nextHosting(shard: ShardState): number {
  return Math.max(...shard.copies.map((copy) => copy.hosting)) + 1
}

/** The shard in one word: that of its primary copy, unless nothing can be served any more. */
export function shardPhase(shard: ShardState): ShardPhase {
  const { phase } = primaryOf(shard)
  if (isHeld(primaryOf(shard))) return phase as Exclude<CopyPhase, 'lost'>
  return usableMembers(shard).length === 0 ? 'damaged' : 'closed'
}

/** Why the shard is not open, and what helps; empty if there is nothing to say. */
export function shardReason(shard: ShardState): string {
  if (hasPrimary(shard)) return primaryOf(shard).reason
  const members = shard.copies.filter(({ copy }) => isMember(shard, copy))
  const reasons = members.flatMap(({ copy, phase, reason, volume }) => {
    const why = phase === 'lost' ? `its volume ${volume} is lost` : reason
    if (why === '') return []
    return shard.copies.length === 1 ? [why] : [`copy ${copy}: ${why}`]
  })
  if (shard.copies.length === 1 || shardPhase(shard) !== 'damaged') return reasons.join('; ')
  const advice =
    'no other copy has everything acknowledged: bring back the files of one of these, and start again'
  return [...reasons, advice].join('; ')
}

/** The child that hosts the primary, or did last; `NO_CHILD` if nobody ever has. */
export function primaryChild(shard: ShardState): number {
  return shard.epoch === 0 ? NO_CHILD : primaryOf(shard).child
}

/** One step, persisted as a whole: the epoch, the primary, the set (hard-parts 20). */
export interface Promotion {
  readonly copy: number
  readonly child: number
  readonly hosting: number
  readonly epoch: number
  readonly inSync: InSync
  /** Monotonic. */
  readonly atMs: number
}

export function becomePrimary(shard: ShardState, promotion: Promotion): ShardState {
  const { copy: number, child, hosting, epoch, inSync, atMs: sinceMs } = promotion
  if (hasPrimary(shard)) throw new Error(`shard ${shard.id} has a primary: copy ${shard.primary}`)
  if (!isMember(shard, number)) throw new Error(`copy ${number} of shard ${shard.id} lacks writes`)
  const copy = copyOf(shard, number)
  const primary: CopyState =
    copy.phase === 'open'
      ? becomePromoted(copy, sinceMs)
      : becomeOpening(copy, { child, hosting, role: 'primary', follows: 0, sinceMs })
  const toldVersion = inSync.version
  return withCopy({ ...shard, epoch, primary: number, inSync, toldVersion }, primary)
}

/**
 * The primary serves: its epoch began on every member, so the files of all of them exist. From now
 * on there is something to lose in each.
 */
export function withCreatedMembers(shard: ShardState): ShardState {
  const copies = shard.copies.map((copy) =>
    isMember(shard, copy.copy) && !copy.isCreated ? { ...copy, isCreated: true } : copy,
  )
  return { ...shard, copies }
}

/** What the primary asks for. */
export interface SetRequest {
  readonly child: number
  readonly epoch: number
  readonly version: number
  readonly change: InSyncChange
}

/**
 * The shard with the set as it is to be persisted. A request that is refused gets the same members
 * under a new version, so that whoever asks learns that the question is answered. One of a former
 * primary changes nothing, and one about a former set neither: the present one is on its way.
 */
export function judgeSetRequest(shard: ShardState, request: SetRequest): ShardState {
  const { child, epoch, version, change } = request
  const isCurrent = hasPrimary(shard) && shard.epoch === epoch && primaryOf(shard).child === child
  if (!isCurrent || version !== shard.inSync.version) return shard
  const members = membersAfter(shard, change)
  const changed = { ...shard, inSync: { version: version + 1, members } }
  return change.type === 'add' ? withCreatedMembers(changed) : changed
}

function membersAfter(shard: ShardState, change: InSyncChange): readonly number[] {
  const { members } = shard.inSync
  if (change.copy === shard.primary) return members
  if (change.type === 'remove') return members.filter((member) => member !== change.copy)
  const joining = shard.copies[change.copy]
  // That it is hosted is enough: the primary has heard from it that it is open, perhaps before us.
  const isHosted =
    joining !== undefined &&
    (joining.phase === 'opening' || joining.phase === 'open') &&
    joining.role === 'backup' &&
    joining.hosting === change.hosting
  if (!isHosted || members.includes(change.copy)) return members
  return [...members, change.copy].toSorted((left, right) => left - right)
}

/** The primary is told of the set that was persisted. */
export function becomeTold(shard: ShardState, version: number): ShardState {
  return { ...shard, toldVersion: version }
}
