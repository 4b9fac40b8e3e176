/**
 * What a write call does, decided against the newest state: its effects and its answer.
 *
 * Pure but for the state it looks at. The verdict is carried out by the sequencer; a refusal
 * (failed condition, absent key, out of range) changes nothing and is not logged.
 */
import type { AtomicCall, ExpiryRule, LockCall, UnlockCall, WriteCall } from '@kv/protocol'
import { WireWriter, writeNumberValue } from '@kv/protocol'
import type { Answer } from '../answer.js'
import { encoded, fault, writeEntry } from '../answer.js'
import { count } from './counter.js'
import type { Held, LiveHeld } from '../held.js'
import { copyValue, visibleAt } from '../held.js'
import type { Put } from './record.js'
import { RESULT_KINDS } from './record.js'
import { clearAnswer, counterAnswer } from '../sessions/recorded-answer.js'

/** One change, decided. `version` is not in it: that is the revision the sequencer gives. */
export type Decided =
  | (Put & { readonly type: 'put' })
  | { readonly type: 'delete' | 'expire'; readonly key: string }
  | { readonly type: 'touch'; readonly key: string; readonly held: LiveHeld }

export type Verdict =
  | { readonly accepted: false; readonly answer: Answer }
  | {
      readonly accepted: true
      readonly effects: readonly Decided[]
      readonly resultKind: (typeof RESULT_KINDS)[keyof typeof RESULT_KINDS]
      /** The answer, once the revision is known. */
      readonly answer: (revision: number) => Answer
    }

/** What the verdicts are given on: committed or not, the last that was sequenced. */
export interface NewestState {
  newest(key: string): Held | undefined
  /** Whether the key's newest entry is over its time and has not been removed yet. */
  isEnded(key: string, nowMs: number): boolean
  /** The first keys of the range that are there, and where to go on. */
  firstKeys(call: { from: string; to: string | undefined }): {
    keys: string[]
    resume: string | undefined
  }
}

/** `judge-atomic.ts` and `judge-lock.ts` have the others. */
export type SingleCall = Exclude<WriteCall, AtomicCall | LockCall | UnlockCall>

const LATEST_MS = Number.MAX_SAFE_INTEGER

export function judge(call: SingleCall, state: NewestState, nowMs: number): Verdict {
  switch (call.type) {
    case 'set':
      return judgeSet(call, state, nowMs)
    case 'delete':
      return judgeDelete(call.key, state, nowMs)
    case 'deleteIf':
      return judgeDeleteIf(call, state, nowMs)
    case 'touch':
      return judgeTouch(call, state, nowMs)
    case 'increment':
      return judgeIncrement(call, state, nowMs)
    case 'clear':
      return judgeClear(call, state)
  }
}

function judgeSet(
  call: Extract<WriteCall, { type: 'set' }>,
  state: NewestState,
  nowMs: number,
): Verdict {
  const { key, source, start, end, expiry, ifVersion } = call
  const looks = ifVersion !== undefined || expiry.kind === 'keep'
  const current = looks ? visibleAt(state.newest(key), nowMs) : undefined
  if (ifVersion !== undefined && (current?.version ?? null) !== ifVersion) return conflict(current)
  const expiresAt = expiry.kind === 'keep' ? (current?.expiresAt ?? 0) : endOf(expiry, nowMs)
  return {
    accepted: true,
    effects: withEnd({ type: 'put', key, source, start, end, expiresAt }, state, nowMs),
    resultKind: RESULT_KINDS.version,
    answer: (revision) => revision,
  }
}

/** A put; over an entry whose time is over it carries that one's end, so that watchers see both. */
export function withEnd(
  put: Extract<Decided, { type: 'put' }>,
  state: NewestState,
  nowMs: number,
): readonly Decided[] {
  return state.isEnded(put.key, nowMs) ? [{ type: 'expire', key: put.key }, put] : [put]
}

/** When an entry written at `nowMs` ends: whole epoch milliseconds, 0 for never. */
function endOf(expiry: Exclude<ExpiryRule, { kind: 'keep' }>, nowMs: number): number {
  if (expiry.kind === 'none') return 0
  const endMs = expiry.kind === 'ttl' ? nowMs + expiry.ms : expiry.ms
  return Math.min(Math.max(Math.ceil(endMs), 1), LATEST_MS)
}

function judgeDelete(key: string, state: NewestState, nowMs: number): Verdict {
  if (visibleAt(state.newest(key), nowMs) === undefined) return refused(false)
  return deletion(key)
}

function judgeDeleteIf(
  call: Extract<WriteCall, { type: 'deleteIf' }>,
  state: NewestState,
  nowMs: number,
): Verdict {
  const current = visibleAt(state.newest(call.key), nowMs)
  return current?.version === call.version ? deletion(call.key) : conflict(current)
}

function deletion(key: string): Verdict {
  return {
    accepted: true,
    effects: [{ type: 'delete', key }],
    resultKind: RESULT_KINDS.done,
    answer: () => true,
  }
}

function judgeTouch(
  call: Extract<WriteCall, { type: 'touch' }>,
  state: NewestState,
  nowMs: number,
): Verdict {
  const current = visibleAt(state.newest(call.key), nowMs)
  if (current === undefined) return refused(false)
  const { ttlMs } = call
  const expiresAt = ttlMs === undefined ? 0 : endOf({ kind: 'ttl', ms: ttlMs }, nowMs)
  // The value's memory may be the stored state's, valid only until its next read.
  const bytes = copyValue(current)
  const held = {
    version: current.version,
    expiresAt,
    memory: { bytes },
    start: 0,
    end: bytes.length,
  }
  return {
    accepted: true,
    effects: [{ type: 'touch', key: call.key, held }],
    resultKind: RESULT_KINDS.done,
    answer: () => true,
  }
}

function judgeIncrement(
  call: Extract<WriteCall, { type: 'increment' }>,
  state: NewestState,
  nowMs: number,
): Verdict {
  const current = visibleAt(state.newest(call.key), nowMs)
  const counted = count(current, call)
  if (!counted.ok) return refused(fault(counted.code, counted.why))
  const created = current === undefined && call.ttlMs !== undefined
  const expiresAt = created
    ? endOf({ kind: 'ttl', ms: call.ttlMs }, nowMs)
    : (current?.expiresAt ?? 0)
  const value = new WireWriter()
  writeNumberValue(value, counted.value)
  return {
    accepted: true,
    effects: withEnd(
      { type: 'put', key: call.key, source: value.bytes, start: 0, end: value.position, expiresAt },
      state,
      nowMs,
    ),
    resultKind: RESULT_KINDS.counter,
    answer: (revision) => counterAnswer(counted.value, revision, expiresAt),
  }
}

function judgeClear(call: Extract<WriteCall, { type: 'clear' }>, state: NewestState): Verdict {
  const { keys, resume } = state.firstKeys(call)
  const answer = clearAnswer(keys.length, resume)
  if (keys.length === 0) return refused(answer)
  return {
    accepted: true,
    effects: keys.map((key) => ({ type: 'delete', key })),
    // Where to go on can't be told from the effects.
    resultKind: resume === undefined ? RESULT_KINDS.count : RESULT_KINDS.stored,
    answer: () => answer,
  }
}

function refused(answer: Answer): Verdict {
  return { accepted: false, answer }
}

function conflict(current: LiveHeld | undefined): Verdict {
  return refused(
    encoded((writer) => {
      writeEntry(writer, current)
    }),
  )
}
