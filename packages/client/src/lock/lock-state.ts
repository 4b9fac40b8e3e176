/**
 * The life of one lock, from the first ask to the release. Pure: time comes with each event.
 *
 *     asking ──queued──▶ waiting ──gone, alarm──▶ asking ──granted──▶ held ◀──▶ renewing
 *        │ busy, failed     │ wait is over                              │ released, lost
 *        └──────────────────┴───────────────▶ over ◀────────────────────┘
 *
 * What a holder may rely on is counted from the moment at which the ask or the renewal was *sent*: the
 * node's ttl begins later, so it never ends before what is known here.
 */
import { KvError } from '@kv/protocol'
import { quoteKey } from '../session/call-errors.js'
import type { LockAnswer } from '../session/answers.js'

export interface LockTerms {
  readonly key: string
  readonly ttlMs: number
  /** How long a place in the queue is kept between two asks. */
  readonly placeMs: number
  /** When to give up, by the clock; with `mayWait` false it does not queue at all. */
  readonly waitUntil: number
  readonly mayWait: boolean
}

export type LockState =
  | {
      readonly name: 'asking'
      readonly ticket: number
      /** The ticket that is watched, if one is. */
      readonly watched: number | undefined
      readonly sentAt: number
      /** Why nobody wants the lock any more, if so. */
      readonly unwanted: { readonly reason: unknown } | undefined
    }
  | {
      readonly name: 'waiting'
      readonly ticket: number
      readonly watched: number | undefined
      /** When it asks again, at the latest: to keep its place, or because the last ask failed. */
      readonly askAt: number
    }
  | {
      readonly name: 'held' | 'renewing'
      readonly version: number
      /** Nobody else has it before. */
      readonly validUntil: number
      /** When to renew next, or when the renewal under way was sent. */
      readonly renewAt: number
    }
  | { readonly name: 'over' }

export type LockEvent =
  | { readonly type: 'answered'; readonly answer: LockAnswer }
  | { readonly type: 'failed'; readonly error: unknown }
  /** What is watched is gone, or can't be watched. */
  | { readonly type: 'gone' }
  | { readonly type: 'renewed'; readonly isHeld: boolean }
  | { readonly type: 'renewalFailed'; readonly error: unknown }
  | { readonly type: 'alarm' }
  | { readonly type: 'aborted'; readonly reason: unknown }
  | { readonly type: 'released' }

export type LockEffect =
  | { readonly type: 'ask'; readonly ticket: number }
  /** Instead of what was watched before; ticket 0 is the lock. */
  | { readonly type: 'watch'; readonly ticket: number }
  | { readonly type: 'unwatch' }
  | { readonly type: 'renew'; readonly version: number }
  | { readonly type: 'unlock'; readonly ticket: number }
  /** It is had: whoever waits for it goes on. */
  | { readonly type: 'grant'; readonly version: number }
  /** It is not had, for this reason. */
  | { readonly type: 'refuse'; readonly reason: unknown }
  | { readonly type: 'lose'; readonly error: KvError }

export interface LockStep {
  readonly state: LockState
  readonly effects: readonly LockEffect[]
  /** When an alarm is due, or `Infinity`. */
  readonly alarmAt: number
}

/** Pause after an ask that failed; a part of the ttl after a renewal that did. */
const RETRY_MS = 100
const RENEWALS_PER_TTL = 3
const RETRIES_PER_TTL = 10

const OVER: LockState = { name: 'over' }

export function begin(now: number): LockStep {
  return asking({ ticket: 0, watched: undefined }, now, [])
}

export function step(state: LockState, event: LockEvent, terms: LockTerms, now: number): LockStep {
  switch (state.name) {
    case 'asking':
      return whileAsking(state, event, terms, now)
    case 'waiting':
      return whileWaiting(state, event, terms, now)
    case 'held':
    case 'renewing':
      return whileHeld(state, event, terms, now)
    case 'over':
      return stay(state)
  }
}

type Asking = Extract<LockState, { name: 'asking' }>
type Waiting = Extract<LockState, { name: 'waiting' }>
type Held = Extract<LockState, { name: 'held' | 'renewing' }>

function whileAsking(state: Asking, event: LockEvent, terms: LockTerms, now: number): LockStep {
  switch (event.type) {
    case 'answered':
      return onAnswer(state, event.answer, terms, now)
    case 'failed':
      return onFailure(state, event.error, terms, now)
    case 'gone':
      // What the answer says is watched anew: that tells if it is gone already.
      return stay({ ...state, watched: undefined })
    case 'aborted': {
      // What the ask brings is given back when it is known.
      const unwanted = { reason: event.reason }
      const effects: LockEffect[] = [{ type: 'unwatch' }, { type: 'refuse', ...unwanted }]
      return { state: { ...state, watched: undefined, unwanted }, effects, alarmAt: Infinity }
    }
    case 'alarm':
    case 'released':
    case 'renewed':
    case 'renewalFailed':
      return stay(state)
  }
}

function onAnswer(state: Asking, answer: LockAnswer, terms: LockTerms, now: number): LockStep {
  switch (answer.type) {
    case 'granted':
      return onGranted(state, answer.version, terms, now)
    case 'queued': {
      const { ticket, behind } = answer
      if (state.unwanted !== undefined) return end([{ type: 'unlock', ticket }])
      if (now >= terms.waitUntil) return giveUp(terms, ticket)
      const askAt = state.sentAt + terms.placeMs / RENEWALS_PER_TTL
      const effects: LockEffect[] =
        state.watched === behind ? [] : [{ type: 'watch', ticket: behind }]
      return waiting({ name: 'waiting', ticket, watched: behind, askAt }, effects, terms)
    }
    case 'busy':
      return state.unwanted === undefined ? refused(lockedError(terms)) : end([])
  }
}

function onGranted(state: Asking, version: number, terms: LockTerms, now: number): LockStep {
  const unlock: LockEffect = { type: 'unlock', ticket: 0 }
  if (state.unwanted !== undefined) return end([unlock])
  const { sentAt } = state
  const validUntil = sentAt + terms.ttlMs
  if (now < validUntil) {
    const effects: LockEffect[] = [{ type: 'unwatch' }, { type: 'grant', version }]
    return held({ version, validUntil, renewAt: renewalAt(sentAt, terms) }, effects)
  }
  // The answer took longer than the lock lasts.
  if (now >= terms.waitUntil) return giveUp(terms, 0)
  return asking({ ticket: 0, watched: undefined }, now, [{ type: 'unwatch' }, unlock])
}

function onFailure(state: Asking, error: unknown, terms: LockTerms, now: number): LockStep {
  const { ticket, watched } = state
  if (state.unwanted !== undefined) return end([{ type: 'unlock', ticket }])
  const canRepeat = error instanceof KvError && error.retryable && terms.mayWait
  if (!canRepeat || now >= terms.waitUntil) {
    // It may have taken effect: what it brought is given back.
    return end([{ type: 'unwatch' }, { type: 'unlock', ticket }, { type: 'refuse', reason: error }])
  }
  return waiting({ name: 'waiting', ticket, watched, askAt: now + RETRY_MS }, [], terms)
}

function whileWaiting(state: Waiting, event: LockEvent, terms: LockTerms, now: number): LockStep {
  const { ticket, watched } = state
  switch (event.type) {
    case 'gone':
      return asking({ ticket, watched: undefined }, now, [])
    case 'alarm':
      if (now >= terms.waitUntil) return giveUp(terms, ticket)
      if (now >= state.askAt) return asking({ ticket, watched }, now, [])
      return waiting(state, [], terms)
    case 'aborted':
      return end([
        { type: 'unwatch' },
        { type: 'unlock', ticket },
        { type: 'refuse', reason: event.reason },
      ])
    case 'answered':
    case 'failed':
    case 'released':
    case 'renewed':
    case 'renewalFailed':
      return waiting(state, [], terms)
  }
}

function whileHeld(state: Held, event: LockEvent, terms: LockTerms, now: number): LockStep {
  const { version, validUntil, renewAt } = state
  if (event.type === 'released') return end([{ type: 'unlock', ticket: 0 }])
  if (event.type === 'renewed' && state.name === 'renewing') {
    if (!event.isHeld) return end([{ type: 'lose', error: lostError(terms, 'it was taken away') }])
    const renewed = {
      version,
      validUntil: renewAt + terms.ttlMs,
      renewAt: renewalAt(renewAt, terms),
    }
    return now < renewed.validUntil ? held(renewed, []) : lost(terms)
  }
  if (now >= validUntil) return lost(terms)
  if (event.type === 'renewalFailed' && state.name === 'renewing') {
    return held({ version, validUntil, renewAt: now + terms.ttlMs / RETRIES_PER_TTL }, [])
  }
  if (state.name === 'renewing') return { state, effects: [], alarmAt: validUntil }
  if (event.type !== 'alarm' || now < renewAt) return held({ version, validUntil, renewAt }, [])
  return {
    state: { name: 'renewing', version, validUntil, renewAt: now },
    effects: [{ type: 'renew', version }],
    alarmAt: validUntil,
  }
}

function asking(
  { ticket, watched }: { readonly ticket: number; readonly watched: number | undefined },
  now: number,
  effects: readonly LockEffect[],
): LockStep {
  return {
    state: { name: 'asking', ticket, watched, sentAt: now, unwanted: undefined },
    effects: [...effects, { type: 'ask', ticket }],
    alarmAt: Infinity,
  }
}

function waiting(state: Waiting, effects: readonly LockEffect[], terms: LockTerms): LockStep {
  return { state, effects, alarmAt: Math.min(state.askAt, terms.waitUntil) }
}

function held(state: Omit<Held, 'name'>, effects: readonly LockEffect[]): LockStep {
  const alarmAt = Math.min(state.renewAt, state.validUntil)
  return { state: { name: 'held', ...state }, effects, alarmAt }
}

/** Nothing is due while the state stays as it is. */
function stay(state: LockState): LockStep {
  return { state, effects: [], alarmAt: Infinity }
}

function end(effects: readonly LockEffect[]): LockStep {
  return { state: OVER, effects, alarmAt: Infinity }
}

function giveUp(terms: LockTerms, ticket: number): LockStep {
  const reason = lockedError(terms)
  return end([{ type: 'unwatch' }, { type: 'unlock', ticket }, { type: 'refuse', reason }])
}

function refused(reason: unknown): LockStep {
  return end([{ type: 'unwatch' }, { type: 'refuse', reason }])
}

function lost(terms: LockTerms): LockStep {
  const error = lostError(terms, `it could not be renewed within its ttl of ${terms.ttlMs} ms`)
  return end([
    { type: 'lose', error },
    { type: 'unlock', ticket: 0 },
  ])
}

function renewalAt(sentAt: number, { ttlMs }: LockTerms): number {
  return sentAt + ttlMs / RENEWALS_PER_TTL
}

function lockedError({ key, mayWait }: LockTerms): KvError {
  const what = mayWait ? 'it did not come free within wait' : 'somebody else holds it'
  return new KvError('LOCKED', `lock of ${quoteKey(key)}: ${what}; try again, or wait longer`)
}

function lostError({ key }: LockTerms, why: string): KvError {
  return new KvError(
    'LOCK_LOST',
    `lock of ${quoteKey(key)}: ${why}, so another may hold it now: stop what it protected`,
  )
}
