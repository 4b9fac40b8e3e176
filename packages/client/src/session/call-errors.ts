/**
 * The errors a call may end with: what happened, to which call, and what to do next.
 */
import type { ErrorCode, Fault, Outcome } from '@kv/protocol'
import { FORGOTTEN, KvError } from '@kv/protocol'
import type { PendingCall } from './pending-call.js'

const KEY_CHARACTERS_SHOWN = 80

/** What to do after an outcome `unknown`. */
export const READ_FIRST = 'it may still be applied: read before repeating it'

/** As much of a call as its errors tell. */
export type KnownCall = Pick<PendingCall, 'kind' | 'key' | 'deadline'> & Partial<PendingCall>

/** `set of "user:1"`, `scan of shard 3`. */
export function nameOf(call: KnownCall): string {
  if (call.kind === 'topology') return 'the connection'
  if (call.key === '') return `${call.kind} of shard ${call.hash}`
  return `${call.kind} of ${quoteKey(call.run?.firstLeft ?? call.key)}`
}

export function quoteKey(key: string): string {
  const shown = key.length > KEY_CHARACTERS_SHOWN ? `${key.slice(0, KEY_CHARACTERS_SHOWN)}…` : key
  return JSON.stringify(shown)
}

/**
 * What a node says of a call without having judged it: it says nothing of what became of the call
 * when it was sent before.
 */
const UNJUDGED: ReadonlySet<ErrorCode> = new Set([
  'OVERLOADED',
  'TIMEOUT',
  'NO_SPACE',
  'UNAVAILABLE',
])

/** What is known of a call that got no answer: a read changes nothing, nor does what never left. */
function outcomeOf(call: KnownCall): Outcome {
  const mayBeApplied = call.isInDoubt || call.place?.isSent === true
  return call.isWrite && mayBeApplied ? 'unknown' : 'not-applied'
}

export function timeoutError(call: KnownCall, cause: KvError | undefined): KvError {
  const outcome = outcomeOf(call)
  const isSent = call.isInDoubt || call.place?.isSent === true
  if (call.kind === 'topology') {
    const why = cause === undefined ? '' : `: ${cause.message}`
    return new KvError('TIMEOUT', `no connection in time${why}`, { outcome, cause })
  }
  const what = isSent ? 'got no answer in time' : 'could not be sent in time'
  const next = outcome === 'unknown' ? READ_FIRST : 'it had no effect'
  const why = cause === undefined || isSent ? '' : ` (${cause.message})`
  return new KvError('TIMEOUT', `${nameOf(call)} ${what}${why}; ${next}`, { outcome, cause })
}

export function lostError(call: PendingCall, cause: KvError): KvError {
  return new KvError(
    'UNAVAILABLE',
    `${nameOf(call)} was sent, but its answer was lost (${cause.message}); ${READ_FIRST}`,
    { outcome: outcomeOf(call), cause },
  )
}

export function closedError(call: PendingCall): KvError {
  return new KvError('CLOSED', `${nameOf(call)} was still open when the client was closed`, {
    outcome: outcomeOf(call),
  })
}

/** The client has given up for the reason `cause`. */
export function endedError(call: PendingCall, cause: KvError): KvError {
  return new KvError(cause.code, `${nameOf(call)}: ${cause.message}`, {
    outcome: outcomeOf(call),
    cause,
  })
}

/** What the node says of the call. */
export function faultError(call: PendingCall, code: ErrorCode, fault: Fault): KvError {
  const outcome = !call.isWrite ? 'not-applied' : trueOutcome(call, code, fault)
  return new KvError(code, `${nameOf(call)}: ${fault.message}`, { outcome })
}

function trueOutcome(call: PendingCall, code: ErrorCode, fault: Fault): Outcome {
  if (call.isInDoubt) return UNJUDGED.has(code) ? 'unknown' : fault.outcome
  // It was only ever sent to where it was not executed.
  return fault.code === FORGOTTEN ? 'not-applied' : fault.outcome
}

export function overloadedError(): KvError {
  return new KvError(
    'OVERLOADED',
    "the client's own queue is full, nothing was sent: " +
      'wait for earlier calls, or raise queueBytesMax or queueCallsMax',
    { outcome: 'not-applied' },
  )
}
