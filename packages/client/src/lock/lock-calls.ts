/**
 * `lock()`: what it takes, and how a lock reaches the node.
 *
 * Asking and giving back are calls of their own. Renewing is an atomic batch that checks the version
 * and touches the key: nobody else's lock can be renewed by it, and the version stays.
 */
import type { Call } from '@kv/protocol'
import { assertKey, encodeValue, lockWaiterKey, routeHash, WireWriter } from '@kv/protocol'
import { AtomicBuilder } from '../atomic.js'
import { ttlOf } from '../call-options.js'
import { PLAIN_VIEW } from '../key-view.js'
import { assertOptions, LOCK_OPTIONS } from '../known-options.js'
import type { ManyCalls } from '../many-calls.js'
import type { LockAnswer } from '../session/answers.js'
import { PendingCall } from '../session/pending-call.js'
import type { Session } from '../session/session.js'
import type { Lock } from './lock.js'
import type { LockPorts } from './lock-run.js'
import { LockRun } from './lock-run.js'

/** A place in the queue is kept for the ttl of the lock, within these: somebody may have died there. */
const PLACE_MS_MIN = 1_000
const PLACE_MS_MAX = 30_000

const OWNER_BYTES = 16

/** Calls `onGone` once, when there is no such key, or none can be watched. Returns what stops it. */
export type WatchGone = (key: string, onGone: () => void) => () => void

export interface LockCallsPorts {
  readonly session: Session
  readonly many: ManyCalls
  readonly watchGone: WatchGone
}

export class LockCalls {
  private readonly ports: LockCallsPorts

  constructor(ports: LockCallsPorts) {
    this.ports = ports
  }

  /** `name` is what the lock is called in its keyspace, `key` the whole key. Throws mistakes. */
  acquire(key: string, name: string, options: unknown): Promise<Lock> {
    assertKey(key)
    assertOptions(options, LOCK_OPTIONS)
    const {
      ttl,
      wait = 0,
      signal,
    } = options as {
      ttl?: unknown
      wait?: unknown
      signal?: AbortSignal
    }
    const ttlMs = ttlOf(ttl)
    const waitMs = waitOf(wait)
    const placeMs = Math.min(Math.max(ttlMs, PLACE_MS_MIN), PLACE_MS_MAX)
    const waitUntil = this.ports.session.clock.now() + waitMs
    const terms = { key: name, ttlMs, placeMs, waitUntil, mayWait: waitMs > 0 }
    const run = new LockRun(terms, this.portsOf(key, ttlMs, waitMs > 0 ? placeMs : undefined))
    return run.acquire(signal)
  }

  private portsOf(key: string, ttlMs: number, waitMs: number | undefined): LockPorts {
    const { session, many, watchGone } = this.ports
    const owner = newOwner()
    const call = async (wire: Call & { type: 'lock' | 'unlock' }): Promise<unknown> => {
      const pending = new PendingCall(wire.type, key, routeHash(key), session.deadlineIn())
      return session.call(pending, wire, undefined)
    }
    return {
      clock: session.clock,
      ask: async (ticket) =>
        (await call({ type: 'lock', key, owner, ttlMs, ticket, waitMs })) as LockAnswer,
      unlock: (ticket) => call({ type: 'unlock', key, owner, ticket }),
      renew: async (version) => {
        const batch = new AtomicBuilder({ session, many, keyspace: PLAIN_VIEW })
        const result = await batch.check(key, version).touch(key, ttlMs).commit()
        return (result as { readonly ok: boolean }).ok
      },
      watch: (ticket, onGone) => watchGone(ticket === 0 ? key : lockWaiterKey(key, ticket), onGone),
    }
  }
}

/** A text that nobody else has, as a value. */
function newOwner(): Uint8Array {
  const random = crypto.getRandomValues(new Uint8Array(OWNER_BYTES))
  const name = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const writer = new WireWriter()
  encodeValue(writer, name)
  return writer.written().slice()
}

function waitOf(wait: unknown): number {
  if (typeof wait === 'number' && wait >= 0) return wait
  throw new TypeError('wait is a number of milliseconds, 0 or more')
}
