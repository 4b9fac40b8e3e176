/**
 * What the coordinator knows of one shard, and the only ways it may change.
 *
 *             opening                 opened
 *   closed ───────────▶ opening ───────────────▶ open
 *     ▲                    │                       │ releasing
 *     │  exited, failed    │                       ▼
 *     ├────────────────────┴──────────────────  releasing
 *     │  exited, failed, released                  │
 *     └────────────────────────────────────────────┘
 *   any but closed ──failed, damaged──▶ damaged (until an operator acts)
 *
 * P5: a shard is `closed` only when no process has it open: its child answered `released` or
 * `failed`, or its exit was seen. Only a closed shard may begin to open.
 */
import { NO_CHILD } from '@kv/protocol'
import { pauseAfter } from './backoff.js'

export type ShardPhase = 'closed' | 'opening' | 'open' | 'releasing' | 'damaged'

export interface ShardState {
  readonly id: number
  readonly phase: ShardPhase
  /** Of the last opening that was decided; grows by one with each. */
  readonly epoch: number
  /** Who hosts the shard, or did last; `NO_CHILD` if nobody ever has. */
  readonly child: number
  /** Whether its files were confirmed to exist. Never false again: a missing file is damage. */
  readonly isCreated: boolean
  /** Failed openings in a row. */
  readonly failures: number
  /** A closed shard is not opened before this moment of the monotonic clock. */
  readonly retryAtMs: number
  /** Why it is not open, for the operator; empty if there is nothing to say. */
  readonly reason: string
}

/** A shard that no process has open. */
export function closedShard(id: number, stored?: Partial<ShardState>): ShardState {
  return {
    id,
    phase: 'closed',
    epoch: 0,
    child: NO_CHILD,
    isCreated: false,
    failures: 0,
    retryAtMs: 0,
    reason: '',
    ...stored,
  }
}

/** Whether a process has the shard open, or may have. */
export function isHeld(shard: ShardState): boolean {
  return shard.phase === 'opening' || shard.phase === 'open' || shard.phase === 'releasing'
}

/** Whether the shard is held by this child in this epoch: what a message must say to count. */
export function isHeldBy(shard: ShardState, child: number, epoch: number): boolean {
  return isHeld(shard) && shard.child === child && shard.epoch === epoch
}

export function becomeOpening(shard: ShardState, child: number): ShardState {
  if (shard.phase !== 'closed') throw illegal(shard, 'opening')
  return { ...shard, phase: 'opening', child, epoch: shard.epoch + 1 }
}

export function becomeOpen(shard: ShardState): ShardState {
  if (shard.phase !== 'opening') throw illegal(shard, 'open')
  return { ...shard, phase: 'open', isCreated: true, failures: 0, reason: '' }
}

export function becomeReleasing(shard: ShardState): ShardState {
  if (shard.phase !== 'open') throw illegal(shard, 'releasing')
  return { ...shard, phase: 'releasing' }
}

/** Nobody has it any more, through no fault of its own: it may be opened at once. */
export function becomeClosed(shard: ShardState): ShardState {
  if (!isHeld(shard)) throw illegal(shard, 'closed')
  return { ...shard, phase: 'closed', retryAtMs: 0 }
}

/** Its child could not open it or had to let go of it: the next try waits. */
export function becomeFailed(
  shard: ShardState,
  failure: { readonly reason: string; readonly nowMs: number; readonly chance: number },
): ShardState {
  if (!isHeld(shard)) throw illegal(shard, 'failed')
  const failures = shard.failures + 1
  const retryAtMs = failure.nowMs + pauseAfter(failures, failure.chance)
  return { ...shard, phase: 'closed', failures, retryAtMs, reason: failure.reason }
}

export function becomeDamaged(shard: ShardState, reason: string): ShardState {
  if (!isHeld(shard)) throw illegal(shard, 'damaged')
  return { ...shard, phase: 'damaged', reason }
}

function illegal(shard: ShardState, to: string): Error {
  return new Error(`shard ${shard.id} can't go from ${shard.phase} to ${to}`)
}
