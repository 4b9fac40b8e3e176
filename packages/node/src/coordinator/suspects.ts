/**
 * Copies that may have ended the child that was opening them (ADR 0022): what is stored in a copy can be such
 * that the process dies of it, and so does the next one, and the next.
 *
 * - A child that ends by SIGSEGV, SIGABRT or SIGBUS makes every copy that it was opening a _suspect_.
 * - A suspect is opened alone: in a child that opens nothing else, and in which the last copy has been
 *   open for `SETTLED_AFTER_MS`. Until it is open, nothing else is opened there.
 * - A suspect that ends its child again is damaged. The others that are not being opened are cleared.
 *   One that opens, or fails with its child alive, is cleared, too; an end by another signal says nothing.
 *
 * So no copy is given up for what another did, and one that is at fault ends two children, or a few more
 * if there are several.
 */
import type { ChildExit } from './child-process.js'
import type { CopyState, Failure } from './copy-state.js'
import { becomeClosed, becomeDamaged, becomeFailed, isHeld } from './copy-state.js'
import type { ShardState } from './shard-state.js'
import { withCopy } from './shard-state.js'

/** How long the last copy that was opened in a child is blamed for its end, in the place of the next. */
export const SETTLED_AFTER_MS = 250

/** An opening that takes longer is not waited for by others. */
const HANGS_AFTER_MS = 10_000

/** By the numbers that a shell, or V8, adds 128 to. */
const CRASH_SIGNALS: Readonly<Record<number, NodeJS.Signals>> = {
  134: 'SIGABRT',
  135: 'SIGBUS',
  139: 'SIGSEGV',
}

/** The signal by which a process ended if it may be the fault of what it was opening. */
export function crashOf({ code, signal }: ChildExit): NodeJS.Signals | undefined {
  if (code !== null) return CRASH_SIGNALS[code]
  return Object.values(CRASH_SIGNALS).find((candidate) => candidate === signal)
}

export interface Exit extends Omit<Failure, 'reason'> {
  readonly child: number
  /** See `crashOf`. */
  readonly crash?: NodeJS.Signals | undefined
}

export function isSuspect({ crashes }: CopyState): boolean {
  return crashes > 0
}

/** A backup that is promoted where it is has its files open already. */
function isOpeningFiles({ phase, openedAtMs }: CopyState): boolean {
  return phase === 'opening' && openedAtMs === 0
}

function isHanging({ phase, sinceMs }: CopyState, nowMs: number): boolean {
  return phase === 'opening' && nowMs - sinceMs >= HANGS_AFTER_MS
}

/** The shards once the end of a child was seen: nobody has what it had. */
export function afterExit(shards: readonly ShardState[], exit: Exit): readonly ShardState[] {
  const opening = shards.filter(({ copies }) =>
    copies.some((copy) => copy.child === exit.child && isOpeningFiles(copy)),
  )
  const isAlone = opening.length === 1
  const after = shards.map((shard) => shardAfterExit(shard, exit, isAlone))
  const isFound = after.some((shard, id) => {
    return shard.copies.some(
      ({ phase }, copy) => phase === 'damaged' && isHeld(shards[id]!.copies[copy]!),
    )
  })
  return isFound ? after.map(cleared) : after
}

function shardAfterExit(shard: ShardState, exit: Exit, isAlone: boolean): ShardState {
  // A child hosts one copy of a shard at most.
  const copy = shard.copies.find((candidate) => isHeld(candidate) && candidate.child === exit.child)
  if (copy === undefined) return shard
  if (copy.phase !== 'opening') return withCopy(shard, becomeClosed(copy))
  const { child, crash, nowMs, chance } = exit
  const failure = { reason: `child ${child} ended while it opened the shard`, nowMs, chance }
  const { crashes } = copy
  if (crash === undefined || !isOpeningFiles(copy)) {
    return withCopy(shard, { ...becomeFailed(copy, failure), crashes })
  }
  if (!isSuspect(copy) || !isAlone) {
    const reason = `child ${child} ended by ${crash} while it opened the shard`
    return withCopy(shard, { ...becomeFailed(copy, { ...failure, reason }), crashes: 1 })
  }
  const advice =
    shard.copies.length === 1
      ? ': check it with `kv-node verify`, restore it if it is damaged, and start the node again'
      : ''
  const reason = `its child ended by ${crash} twice while it was opened${advice}`
  return withCopy(shard, becomeDamaged(copy, { ...failure, reason }))
}

function cleared(shard: ShardState): ShardState {
  const hasAny = shard.copies.some((copy) => copy.phase === 'closed' && isSuspect(copy))
  if (!hasAny) return shard
  const copies = shard.copies.map((copy) =>
    copy.phase === 'closed' ? { ...copy, crashes: 0 } : copy,
  )
  return { ...shard, copies }
}

interface Openings {
  isOpening: boolean
  hasSuspect: boolean
  lastOpenedAtMs: number
}

/** What is being opened in which child, while one round is planned. */
export class OpeningsByChild {
  private readonly children = new Map<number, Openings>()

  /** To be told of every shard at first, and of each again once something was decided about it. */
  note({ copies }: ShardState, nowMs: number): void {
    for (const copy of copies) {
      // One that hangs must not keep others from being opened for ever.
      if (!isHeld(copy) || isHanging(copy, nowMs)) continue
      const found = this.children.get(copy.child)
      const there = found ?? { isOpening: false, hasSuspect: false, lastOpenedAtMs: 0 }
      if (isOpeningFiles(copy)) {
        there.isOpening = true
        there.hasSuspect ||= isSuspect(copy)
      } else there.lastOpenedAtMs = Math.max(there.lastOpenedAtMs, copy.openedAtMs)
      this.children.set(copy.child, there)
    }
  }

  /** Whether the copy may be opened in this child now. */
  admits(copy: CopyState, child: number, nowMs: number): boolean {
    const there = this.children.get(child)
    if (there === undefined) return true
    if (there.hasSuspect) return false
    if (!isSuspect(copy)) return true
    return !there.isOpening && nowMs - there.lastOpenedAtMs >= SETTLED_AFTER_MS
  }
}

/** `undefined` where nothing is suspect, so that nothing need be asked. */
export function openingsOf(
  shards: readonly ShardState[],
  nowMs: number,
): OpeningsByChild | undefined {
  if (!shards.some(({ copies }) => copies.some(isSuspect))) return undefined
  const openings = new OpeningsByChild()
  for (const shard of shards) openings.note(shard, nowMs)
  return openings
}

/** The next moment after `nowMs` at which a child will have settled; `undefined` if nothing waits for it. */
export function nextSettledMs(shards: readonly ShardState[], nowMs: number): number | undefined {
  const all = shards.flatMap(({ copies }) => copies)
  if (!all.some((copy) => copy.phase === 'closed' && isSuspect(copy))) return undefined
  const ends = all
    .filter(({ phase }) => phase === 'open')
    .map(({ openedAtMs }) => openedAtMs + SETTLED_AFTER_MS)
    .filter((endMs) => endMs > nowMs)
  return ends.length === 0 ? undefined : Math.min(...ends)
}
