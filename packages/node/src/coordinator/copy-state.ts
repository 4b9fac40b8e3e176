/**
 * What the coordinator knows of one copy of a shard, and the only ways it may change.
 *
 *             opening                 opened, backing
 *   closed ───────────▶ opening ─────────────────────▶ open
 *     ▲                  │   ▲                          │ │
 *     │  exited, failed  │   └──── promoted (backup) ───┘ │ releasing
 *     │                  │                                ▼
 *     ├──────────────────┴──────────────────────────  releasing
 *     │  exited, failed, released                         │
 *     └───────────────────────────────────────────────────┘
 *   any but closed ──failed, damaged──▶ damaged ──blank──▶ closed, to be made anew
 *   lost: its volume is not there. It stays so as long as this coordinator lives
 *
 * P5: a copy is `closed` only when no process has its directory open: its child answered `released`
 * or `failed`, or its exit was seen. Only a closed copy may begin to open. Each time it does is a
 * _hosting_ of its own number.
 */
import { NO_CHILD } from '@kv/protocol'
import { pauseAfter } from './backoff.js'

export type CopyPhase = 'closed' | 'opening' | 'open' | 'releasing' | 'damaged' | 'lost'

export type CopyRole = 'primary' | 'backup'

/** A copy that was open this long was well: that it fails is no relapse. */
export const WELL_AFTER_MS = 60_000

export interface CopyState {
  readonly copy: number
  /** Index of the volume its directory is on. */
  readonly volume: number
  readonly phase: CopyPhase
  /** Of the present hosting, or the last. */
  readonly role: CopyRole
  /** Who hosts the copy, or did last; `NO_CHILD` if nobody ever has. */
  readonly child: number
  /** Number of the present hosting, or the last; 0 if there was none. */
  readonly hosting: number
  /** Of a backup: the epoch of the primary that it was told to follow; 0 for none. */
  readonly follows: number
  /** Whether its files were confirmed to exist. From then on their absence is damage. */
  readonly isCreated: boolean
  /** Failed openings in a row. */
  readonly failures: number
  /** Times in a row that it failed soon after it had been opened. */
  readonly relapses: number
  /** Ends of its child in a row that may be its fault, while it was opened: see `suspects.ts`. */
  readonly crashes: number
  /** When it was opened, on the monotonic clock; 0 if it has not been in this hosting. */
  readonly openedAtMs: number
  /** When its present phase was decided, of one that is opening or releasing; monotonic. */
  readonly sinceMs: number
  /** A closed copy is not opened, a damaged one not made anew, before this monotonic moment. */
  readonly retryAtMs: number
  /** Why it is not open, for the operator; empty if there is nothing to say. */
  readonly reason: string
}

/** A copy that no process has open. */
export function closedCopy(copy: number, known?: Partial<CopyState>): CopyState {
  return {
    copy,
    volume: 0,
    phase: 'closed',
    role: 'backup',
    child: NO_CHILD,
    hosting: 0,
    follows: 0,
    isCreated: false,
    failures: 0,
    relapses: 0,
    crashes: 0,
    openedAtMs: 0,
    sinceMs: 0,
    retryAtMs: 0,
    reason: '',
    ...known,
  }
}

/** Whether a process has the copy open, or may have. */
export function isHeld({ phase }: CopyState): boolean {
  return phase === 'opening' || phase === 'open' || phase === 'releasing'
}

/** Whether it can ever be opened as it is. */
export function isUsable({ phase }: CopyState): boolean {
  return phase !== 'damaged' && phase !== 'lost'
}

/** Whether something went wrong the last time: nothing should wait for it. */
export function isAiling({ failures }: CopyState): boolean {
  return failures > 0
}

/** Where and as what a copy is opened. */
export interface NewHosting {
  readonly child: number
  readonly hosting: number
  readonly role: CopyRole
  readonly follows: number
  readonly sinceMs: number
}

export function becomeOpening(copy: CopyState, hosting: NewHosting): CopyState {
  if (copy.phase !== 'closed') throw illegal(copy, 'opening')
  return { ...copy, ...hosting, phase: 'opening', openedAtMs: 0 }
}

/** The backup is to be primary, where it is. */
export function becomePromoted(copy: CopyState, sinceMs: number): CopyState {
  if (copy.phase !== 'open' || copy.role !== 'backup') throw illegal(copy, 'promoted')
  return { ...copy, phase: 'opening', role: 'primary', follows: 0, sinceMs }
}

/** A backup is told another primary. */
export function becomeFollowing(copy: CopyState, epoch: number): CopyState {
  if (!isHeld(copy) || copy.role !== 'backup') throw illegal(copy, 'following')
  return { ...copy, follows: epoch }
}

/** `nowMs` is monotonic. */
export function becomeOpen(copy: CopyState, nowMs: number): CopyState {
  if (copy.phase !== 'opening') throw illegal(copy, 'open')
  const well = { failures: 0, crashes: 0, reason: '' }
  return { ...copy, ...well, phase: 'open', isCreated: true, openedAtMs: nowMs }
}

export function becomeReleasing(copy: CopyState, sinceMs: number): CopyState {
  if (copy.phase !== 'open') throw illegal(copy, 'releasing')
  return { ...copy, phase: 'releasing', sinceMs }
}

/** Nobody has it any more, through no fault of its own: it may be opened at once. */
export function becomeClosed(copy: CopyState): CopyState {
  if (!isHeld(copy)) throw illegal(copy, 'closed')
  return { ...copy, phase: 'closed', retryAtMs: 0 }
}

export interface Failure {
  readonly reason: string
  /** Monotonic. */
  readonly nowMs: number
  /** In [0, 1), for the pause before the next try. */
  readonly chance: number
}

/** Its child could not open it or had to let go of it: the next try waits. */
export function becomeFailed(copy: CopyState, failure: Failure): CopyState {
  if (!isHeld(copy)) throw illegal(copy, 'failed')
  return { ...copy, phase: 'closed', ...afterFailure(copy, failure) }
}

/** What is stored can't be used. Its hosting is over. */
export function becomeDamaged(copy: CopyState, failure: Failure): CopyState {
  if (!isHeld(copy)) throw illegal(copy, 'damaged')
  return { ...copy, phase: 'damaged', ...afterFailure(copy, failure) }
}

/** Given up: what it holds is set aside, and an empty copy begins. Only while another serves. */
export function becomeBlank(copy: CopyState): CopyState {
  if (copy.phase !== 'damaged') throw illegal(copy, 'blank')
  return { ...copy, phase: 'closed', isCreated: false }
}

function afterFailure(copy: CopyState, { reason, nowMs, chance }: Failure): Partial<CopyState> {
  const failures = copy.failures + 1
  const wasOpen = copy.phase !== 'opening'
  const wasWell = wasOpen && nowMs - copy.openedAtMs >= WELL_AFTER_MS
  const relapses = wasWell ? 1 : copy.relapses + (wasOpen ? 1 : 0)
  const pauseMs = pauseAfter(Math.max(failures, relapses), chance)
  return { failures, relapses, crashes: 0, retryAtMs: nowMs + pauseMs, reason }
}

function illegal(copy: CopyState, to: string): Error {
  return new Error(`copy ${copy.copy} of a shard can't go from ${copy.phase} to ${to}`)
}
