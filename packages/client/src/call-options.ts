/**
 * Checks what callers pass as options, and brings it into the form of the protocol. Pure.
 *
 * A wrong type is a mistake of the program: a `TypeError` that says what is due.
 */
import type { ExpiryRule } from '@kv/protocol'
import { TIMER_MS_MAX } from './clock.js'

/** Largest time that fits a `Date`. */
const TIME_MS_MAX = 8_640_000_000_000_000

const NO_EXPIRY: ExpiryRule = { kind: 'none' }
const KEEP_EXPIRY: ExpiryRule = { kind: 'keep' }

export interface ExpiryOptions {
  readonly ttl?: unknown
  readonly expiresAt?: unknown
  readonly keepTtl?: unknown
}

/** `undefined` stays: the client's own timeout holds. */
export function timeoutOf(timeout: unknown): number | undefined {
  if (timeout === undefined) return undefined
  if (typeof timeout === 'number' && timeout > 0 && timeout <= TIMER_MS_MAX) return timeout
  throw new TypeError(`timeout is a number of milliseconds above 0, at most ${TIMER_MS_MAX}`)
}

/** Whole milliseconds: what ends within one ends with it. */
export function ttlOf(ttl: unknown): number {
  if (typeof ttl === 'number' && ttl > 0 && ttl <= TIME_MS_MAX) return Math.ceil(ttl)
  throw new TypeError('ttl is a finite number of milliseconds above 0')
}

/** `otherwise` holds if no option is given; `keepTtl: false` is one, and means no expiry. */
export function expiryOf(
  { ttl, expiresAt, keepTtl }: ExpiryOptions,
  otherwise: ExpiryRule = NO_EXPIRY,
): ExpiryRule {
  if (keepTtl !== undefined) assertBoolean('keepTtl', keepTtl)
  const isKept = keepTtl === true
  if (Number(ttl !== undefined) + Number(expiresAt !== undefined) + Number(isKept) > 1) {
    throw new TypeError('ttl, expiresAt and keepTtl exclude each other: give one of them')
  }
  if (ttl !== undefined) return { kind: 'ttl', ms: ttlOf(ttl) }
  if (expiresAt !== undefined) return { kind: 'at', ms: timeOf(expiresAt) }
  if (keepTtl === undefined) return otherwise
  return isKept ? KEEP_EXPIRY : NO_EXPIRY
}

function timeOf(expiresAt: unknown): number {
  if (typeof expiresAt === 'number' && Math.abs(expiresAt) <= TIME_MS_MAX) {
    return Math.ceil(expiresAt)
  }
  throw new TypeError('expiresAt is a number of epoch milliseconds')
}

/**
 * `undefined` if the option is absent. Present but `undefined` is refused: it is the version of a
 * read that found nothing, and would make the write unconditional.
 */
export function ifVersionOf(options: object): number | null | undefined {
  if (!('ifVersion' in options)) return undefined
  const { ifVersion } = options
  if (ifVersion === null) return null
  if (ifVersion === undefined) {
    throw new TypeError('ifVersion is present but undefined: give a version, or null for no entry')
  }
  return versionOf('ifVersion', ifVersion)
}

export function assertBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new TypeError(`${name} is a boolean`)
}

export function versionOf(name: string, version: unknown): number {
  if (Number.isSafeInteger(version) && (version as number) > 0) return version as number
  throw new TypeError(`${name} is a whole number above 0`)
}

export function finiteOf(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new TypeError(`${name} is a finite number`)
}

export function maybeFiniteOf(name: string, value: unknown): number | undefined {
  return value === undefined ? undefined : finiteOf(name, value)
}

/** How a read is to be made. */
export interface ReadTerms {
  readonly deadline: number
  readonly signal: AbortSignal | undefined
  /** Any copy in sync may answer. */
  readonly isReplica: boolean
}

/** Whether a read may be answered by any copy in sync. */
export function isReplicaRead(consistency: unknown): boolean {
  if (consistency === undefined || consistency === 'linearizable') return false
  if (consistency === 'replica') return true
  throw new TypeError("consistency is 'linearizable' or 'replica'")
}
