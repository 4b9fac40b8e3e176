/**
 * Locks, by the rules of `lock-queue.ts` in the protocol: here what they decide becomes entries of
 * the log. Pure but for the state it looks at.
 */
import type { LockCall, LockEffect, LockEntry, UnlockCall } from '@kv/protocol'
import { decideLock, decideUnlock, writeLockOutcome } from '@kv/protocol'
import type { Answer } from '../answer.js'
import { encoded, fault } from '../answer.js'
import { visibleAt } from '../held.js'
import type { Decided, NewestState, Verdict } from './judge.js'
import { RESULT_KINDS } from './record.js'

export function judgeLock(call: LockCall, state: NewestState, nowMs: number): Verdict {
  const { outcome, effects } = decideLock(call, viewOf(state, nowMs), nowMs)
  if (outcome.type === 'full') return unlogged(fault('OVERLOADED', outcome.message))
  if (outcome.type === 'held') return unlogged(outcome.version)
  if (outcome.type === 'busy') return unlogged(null)
  if (outcome.type === 'granted') {
    return {
      accepted: true,
      effects: [...endOf(call.key, state, nowMs), ...effects.map(decided)],
      resultKind: RESULT_KINDS.version,
      answer: (revision) => revision,
    }
  }
  const answer = encoded((writer) => {
    writeLockOutcome(writer, outcome, 0)
  })
  return {
    accepted: true,
    effects: effects.map(decided),
    resultKind: RESULT_KINDS.stored,
    answer: () => answer,
  }
}

export function judgeUnlock(call: UnlockCall, state: NewestState, nowMs: number): Verdict {
  const effects = decideUnlock(call, viewOf(state, nowMs))
  if (effects.length === 0) return unlogged(false)
  return {
    accepted: true,
    effects: effects.map(decided),
    resultKind: RESULT_KINDS.done,
    answer: () => true,
  }
}

function unlogged(answer: Answer): Verdict {
  return { accepted: false, answer }
}

/** Whoever watches the key hears of both: the former holder's time was over, and this one has it. */
function endOf(key: string, state: NewestState, nowMs: number): Decided[] {
  return state.isEnded(key, nowMs) ? [{ type: 'expire', key }] : []
}

function viewOf(state: NewestState, nowMs: number): { find(key: string): LockEntry | undefined } {
  return {
    find: (key) => {
      const held = visibleAt(state.newest(key), nowMs)
      if (held === undefined) return undefined
      const { memory, start, end, version, expiresAt } = held
      return { bytes: memory.bytes, start, end, version, expiresAt }
    },
  }
}

function decided(effect: LockEffect): Decided {
  if (effect.type === 'delete') return effect
  const { key, bytes, expiresAt } = effect
  const place = { start: 0, end: bytes.length }
  if (effect.type === 'put') return { type: 'put', key, source: bytes, ...place, expiresAt }
  // The owner's name is a view of a message: it lives on in the entry.
  const memory = { bytes: Uint8Array.from(bytes) }
  return { type: 'touch', key, held: { version: effect.version, expiresAt, memory, ...place } }
}
