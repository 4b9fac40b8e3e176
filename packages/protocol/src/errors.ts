/**
 * The errors of kv: one class, a stable code, and one table that says for each code whether a
 * retry can help and what became of the call.
 *
 * Codes never change their meaning; messages may. Mistakes of the program (a number as key) are
 * plain `TypeError`s and not in this table.
 */

import { ERROR_TEXT_BYTES_MAX } from './limits.js'

/** What became of the call: it took effect, it did not, or nobody can tell. */
export type Outcome = 'applied' | 'not-applied' | 'unknown'

/** Every code, in the order of their numbers on the wire, from 1: none is ever moved or reused. */
export const ERROR_CODES = [
  'INVALID_KEY',
  'INVALID_VALUE',
  'INVALID_CURSOR',
  'VALUE_TOO_LARGE',
  'BATCH_TOO_LARGE',
  'OUT_OF_RANGE',
  'NOT_A_NUMBER',
  'CONFLICT',
  'CROSS_SHARD',
  'LOCKED',
  'LOCK_LOST',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'TIMEOUT',
  'CLOSED',
  'OVERLOADED',
  'NO_SPACE',
  'UNAVAILABLE',
  'PROTOCOL',
] as const

/** Stable name of what went wrong. */
export type ErrorCode = (typeof ERROR_CODES)[number]

const RETRYABLE: readonly ErrorCode[] = [
  'CONFLICT',
  'LOCKED',
  'TIMEOUT',
  'OVERLOADED',
  'NO_SPACE',
  'UNAVAILABLE',
]
/** After any other the call was not applied. */
const UNKNOWN: readonly ErrorCode[] = ['TIMEOUT', 'CLOSED', 'UNAVAILABLE', 'PROTOCOL']

export interface ErrorRule {
  /** Number on the wire. Numbers are never reused. */
  readonly wire: number
  /** Whether the same call may succeed later without being changed. */
  readonly retryable: boolean
  /** The outcome where the place that raises the error knows no better. */
  readonly outcome: Outcome
}

/** Code → wire number, retryable, usual outcome. `docs/errors.md` has a heading for each. */
export const ERROR_RULES = Object.fromEntries(
  ERROR_CODES.map((code, index) => {
    const outcome = UNKNOWN.includes(code) ? 'unknown' : 'not-applied'
    return [code, { wire: index + 1, retryable: RETRYABLE.includes(code), outcome }]
  }),
) as Readonly<Record<ErrorCode, ErrorRule>>

/**
 * Wire number of the answer «this child does not serve that shard (any more)». It never reaches a
 * user: the client waits for a newer topology and sends the call again.
 */
export const MOVED = 64

/**
 * Wire number of the answer «whether this write took effect before can't be told any more»: it was
 * sent again after the node had forgotten its client. Users see `UNAVAILABLE`, outcome `unknown`.
 */
export const FORGOTTEN = 65

/** The code with this wire number; `PROTOCOL` for a number this version does not know. */
export function errorCodeOf(wire: number): ErrorCode {
  return ERROR_CODES[wire - 1] ?? 'PROTOCOL'
}

export interface KvErrorOptions {
  /** Default: what the table says for the code. */
  readonly outcome?: Outcome | undefined
  readonly cause?: unknown
  /** Of `setMany` and its like: what became of each part, in the order asked. */
  readonly results?: readonly unknown[] | undefined
  /** Of `INVALID_VALUE`: what a schema validator found. */
  readonly issues?: readonly unknown[] | undefined
}

/**
 * An operation of kv failed. Branch on `code`, never on `message`.
 *
 * `outcome` says whether a write took effect: `applied`, `not-applied` (safe to repeat) or
 * `unknown` (read before repeating). `retryable` says whether the same call may succeed later.
 */
export class KvError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly outcome: Outcome
  declare readonly results?: readonly unknown[]
  declare readonly issues?: readonly unknown[]

  constructor(code: ErrorCode, message: string, options: KvErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'KvError'
    this.code = code
    this.retryable = ERROR_RULES[code].retryable
    this.outcome = options.outcome ?? ERROR_RULES[code].outcome
    if (options.results !== undefined) this.results = options.results
    if (options.issues !== undefined) this.issues = options.issues
  }
}

/**
 * An error's message as it may travel: what is too long for `ERROR_TEXT_BYTES_MAX` is cut. It is for
 * people, and no reason to end a connection.
 */
export function clipErrorText(message: string): string {
  const unitsMax = Math.floor(ERROR_TEXT_BYTES_MAX / 3)
  return message.length <= unitsMax ? message : `${message.slice(0, unitsMax - 1)}…`
}

/** Bytes from the other end break the protocol: the connection that carried them must end. */
export function protocolError(what: string): KvError {
  return new KvError('PROTOCOL', what)
}
