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
      /** The ticket that is watched, if one is; 0 is the lock. */
      readonly watched: number | undefined
      readonly sentAt: number
      /** Nobody wants the lock any more: what the ask brings is given back when it is known. */
      readonly isUnwanted: boolean
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
  | { readonly type: 'renew'; readonly version: number }
  | { readonly type: 'unlock'; readonly ticket: number }
  /** It is had: whoever waits for it goes on. */
  | { readonly type: 'grant'; readonly version: number }
  /** It is not had, for this reason. */
  | { readonly type: 'refuse'; readonly reason: unknown }
  | { readonly type: 'lose'; readonly error: KvError }

/** What is watched, and when an alarm is due, follow from the state. */
export type LockStep = readonly [state: LockState, ...effects: LockEffect[]]

/** Pause after an ask that failed; a part of the ttl after a renewal that did. */
const RETRY_MS = 100
const RENEWALS_PER_TTL = 3
const RETRIES_PER_TTL = 10

const OVER: LockState = { name: 'over' }
const UNLOCK: LockEffect = { type: 'unlock', ticket: 0 }

export function begin(now: number): LockStep {
  return asking({ ticket: 0, watched: undefined }, now)
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
      return [state]
  }
}

/** The ticket to watch, if one is. */
export function watchedIn(state: LockState): number | undefined {
  return 'watched' in state ? state.watched : undefined
}

/** When an alarm is due, or `Infinity`. */
export function alarmOf(state: LockState, terms: LockTerms): number {
  switch (state.name) {
    case 'waiting':
      return Math.min(state.askAt, terms.waitUntil)
    case 'held':
      return Math.min(state.renewAt, state.validUntil)
    case 'renewing':
      return state.validUntil
    case 'asking':
    case 'over':
      return Infinity
  }
}

type Asking = Extract<LockState, { name: 'asking' }>
type Waiting = Extract<LockState, { name: 'waiting' }>
type Held = Extract<LockState, { name: 'held' | 'renewing' }>

function whileAsking(state: Asking, event: LockEvent, terms: LockTerms, now: number): LockStep {
  if (event.type === 'answered') return onAnswer(state, event.answer, terms, now)
  if (event.type === 'failed') return onFailure(state, event.error, terms, now)
  // What the answer says is watched anew: that tells if it is gone already.
  if (event.type === 'gone') return [{ ...state, watched: undefined }]
  if (event.type !== 'aborted') return [state]
  return [{ ...state, watched: undefined, isUnwanted: true }, refusal(event.reason)]
}

function onAnswer(state: Asking, answer: LockAnswer, terms: LockTerms, now: number): LockStep {
  const { sentAt, isUnwanted } = state
  if (answer.type === 'granted') return onGranted(state, answer.version, terms, now)
  if (answer.type === 'busy') return isUnwanted ? [OVER] : [OVER, refusal(lockedError(terms))]
  const { ticket, behind: watched } = answer
  if (isUnwanted) return [OVER, { type: 'unlock', ticket }]
  if (now >= terms.waitUntil) return giveUp(terms, ticket)
  return [{ name: 'waiting', ticket, watched, askAt: sentAt + terms.placeMs / RENEWALS_PER_TTL }]
}

function onGranted(state: Asking, version: number, terms: LockTerms, now: number): LockStep {
  if (state.isUnwanted) return [OVER, UNLOCK]
  const validUntil = state.sentAt + terms.ttlMs
  if (now < validUntil) {
    const renewAt = renewalAt(state.sentAt, terms)
    return [
      { name: 'held', version, validUntil, renewAt },
      { type: 'grant', version },
    ]
  }
  // The answer took longer than the lock lasts.
  if (now >= terms.waitUntil) return giveUp(terms, 0)
  return asking({ ticket: 0, watched: undefined }, now, UNLOCK)
}

function onFailure(state: Asking, error: unknown, terms: LockTerms, now: number): LockStep {
  const { ticket, watched, isUnwanted } = state
  // It may have taken effect: what it brought is given back.
  if (isUnwanted) return [OVER, { type: 'unlock', ticket }]
  const canRepeat = error instanceof KvError && error.retryable && terms.mayWait
  if (!canRepeat || now >= terms.waitUntil) {
    return [OVER, { type: 'unlock', ticket }, refusal(error)]
  }
  return [{ name: 'waiting', ticket, watched, askAt: now + RETRY_MS }]
}

function whileWaiting(state: Waiting, event: LockEvent, terms: LockTerms, now: number): LockStep {
  const { ticket } = state
  if (event.type === 'gone') return asking({ ticket, watched: undefined }, now)
  if (event.type === 'aborted') {
    return [OVER, { type: 'unlock', ticket }, refusal(event.reason)]
  }
  if (event.type !== 'alarm') return [state]
  if (now >= terms.waitUntil) return giveUp(terms, ticket)
  return now >= state.askAt ? asking(state, now) : [state]
}

function whileHeld(state: Held, event: LockEvent, terms: LockTerms, now: number): LockStep {
  const { version, validUntil, renewAt } = state
  const isRenewing = state.name === 'renewing'
  if (event.type === 'released') return [OVER, UNLOCK]
  if (isRenewing && event.type === 'renewed') {
    if (!event.isHeld) return [OVER, { type: 'lose', error: lostError(terms, 'it was taken away') }]
    const validAnew = renewAt + terms.ttlMs
    if (now >= validAnew) return lost(terms)
    return [{ name: 'held', version, validUntil: validAnew, renewAt: renewalAt(renewAt, terms) }]
  }
  if (now >= validUntil) return lost(terms)
  if (isRenewing && event.type === 'renewalFailed') {
    return [{ ...state, name: 'held', renewAt: now + terms.ttlMs / RETRIES_PER_TTL }]
  }
  if (isRenewing || event.type !== 'alarm' || now < renewAt) return [state]
  return [
    { ...state, name: 'renewing', renewAt: now },
    { type: 'renew', version },
  ]
}

function asking(
  { ticket, watched }: Pick<Waiting, 'ticket' | 'watched'>,
  now: number,
  ...effects: LockEffect[]
): LockStep {
  const state = { name: 'asking', ticket, watched, sentAt: now, isUnwanted: false } as const
  return [state, ...effects, { type: 'ask', ticket }]
}

function refusal(reason: unknown): LockEffect {
  return { type: 'refuse', reason }
}

function giveUp(terms: LockTerms, ticket: number): LockStep {
  return [OVER, { type: 'unlock', ticket }, refusal(lockedError(terms))]
}

function lost(terms: LockTerms): LockStep {
  const error = lostError(terms, `it could not be renewed within its ttl of ${terms.ttlMs} ms`)
  return [OVER, { type: 'lose', error }, UNLOCK]
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
