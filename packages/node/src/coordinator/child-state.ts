/**
 * What the coordinator knows of one child, and the only ways it may change.
 *
 *   absent ──starting──▶ starting ──started──▶ ready
 *     ▲                     │                    │      condemned: it is being ended, nothing is
 *     │       exited        ├──▶ ending ◀────────┤      sent to it any more, but until its exit
 *     ├─────────────────────┴──────┴─────────────┤      is seen it may hold what it held
 *     │       exited                             │
 *     └───────────────────── retiring ◀──────────┘      it hosts nothing and is told to end
 *
 * One that is _leaving_ is not wanted any more: nothing new is placed there, what it hosts moves to
 * others, then it retires, and an absent one is not forked.
 *
 * A child keeps its id from process to process: placement, logs and figures mean the same child
 * before and after a crash.
 */
import { pauseAfter } from './backoff.js'
import type { ProcessIdentity } from './process-identity.js'

export type ChildPhase = 'absent' | 'starting' | 'ready' | 'retiring' | 'ending'

/** A process that lived this long has recovered: the next end is not part of a crash loop. */
export const HEALTHY_AFTER_MS = 60_000

export interface ChildState {
  readonly id: number
  readonly phase: ChildPhase
  /** The process, once there is one; persisted before anything is assigned to it. */
  readonly process?: ProcessIdentity
  /** Whether this coordinator waits for it before it places anything: its first start. */
  readonly isExpected: boolean
  /** Whether the node is to go on without it. */
  readonly isLeaving: boolean
  /** Ends in a row, none after `HEALTHY_AFTER_MS`. */
  readonly failures: number
  /** An absent child is not forked before this moment of the monotonic clock. */
  readonly forkAtMs: number
  /** When it became ready, on the monotonic clock. */
  readonly readyAtMs: number
  /** Where it listens for direct connections; 0 if it does not. */
  readonly port: number
}

export function absentChild(id: number): ChildState {
  return {
    id,
    phase: 'absent',
    isExpected: true,
    isLeaving: false,
    failures: 0,
    forkAtMs: 0,
    readyAtMs: 0,
    port: 0,
  }
}

/**
 * A child more for a node that runs. Nobody waits for it: what has to be placed before it is there
 * goes to others.
 */
export function joiningChild(id: number): ChildState {
  return { ...absentChild(id), isExpected: false }
}

/** Whether it comes up for the first time, and will be there in a moment if all goes well. */
export function isComing({ phase, failures, isLeaving }: ChildState): boolean {
  return !isLeaving && failures === 0 && (phase === 'absent' || phase === 'starting')
}

/** Whether there is a process, or may be one. */
export function isRunning(child: ChildState): boolean {
  return child.phase !== 'absent'
}

export function becomeStarting(child: ChildState): ChildState {
  if (child.phase !== 'absent') throw illegal(child, 'starting')
  return { ...child, phase: 'starting' }
}

export function withProcess(child: ChildState, process: ProcessIdentity): ChildState {
  if (child.phase === 'absent') throw illegal(child, 'have a process')
  return { ...child, process }
}

export function becomeReady(child: ChildState, nowMs: number, port: number = 0): ChildState {
  if (child.phase !== 'starting') throw illegal(child, 'ready')
  return { ...child, phase: 'ready', isExpected: false, readyAtMs: nowMs, port }
}

/** It hosts nothing, and nothing will be placed there: it is told to end by itself. */
export function becomeRetiring(child: ChildState): ChildState {
  if (child.phase !== 'ready' || !child.isLeaving) throw illegal(child, 'retiring')
  return { ...child, phase: 'retiring' }
}

/** Wanted or not, from now on. */
export function withLeaving(child: ChildState, isLeaving: boolean): ChildState {
  // One that starts is not waited for any more: what it would have got goes to others.
  return { ...child, isLeaving, isExpected: child.isExpected && !isLeaving }
}

export function becomeEnding(child: ChildState): ChildState {
  if (child.phase === 'absent') throw illegal(child, 'ending')
  return { ...child, phase: 'ending', isExpected: false, port: 0 }
}

/** Its exit was seen. */
export function becomeAbsent(child: ChildState, nowMs: number, chance: number): ChildState {
  if (child.phase === 'absent') throw illegal(child, 'absent')
  const { id, isLeaving } = child
  if (child.phase === 'retiring') return { ...joiningChild(id), isLeaving }
  const hadRecovered = child.readyAtMs > 0 && nowMs - child.readyAtMs >= HEALTHY_AFTER_MS
  const failures = hadRecovered ? 1 : child.failures + 1
  return {
    id,
    phase: 'absent',
    isExpected: false,
    isLeaving,
    failures,
    forkAtMs: nowMs + pauseAfter(failures, chance),
    readyAtMs: 0,
    port: 0,
  }
}

function illegal(child: ChildState, to: string): Error {
  return new Error(`child ${child.id} can't go from ${child.phase} to ${to}`)
}
