/**
 * Why a connection ended, as an error, and whether it makes sense to connect again. Pure.
 */
import type { ErrorCode, Failure } from '@kv/protocol'
import { CLOSE_CODES, errorCodeOf, KvError, PROTOCOL_VERSION } from '@kv/protocol'
import type { TransportEnd } from './transport.js'

/** After these the client gives up: another attempt would end in the same way. */
const FINAL_CODES: ReadonlySet<ErrorCode> = new Set(['UNAUTHENTICATED', 'FORBIDDEN', 'PROTOCOL'])

/** A connection that was never ready may end for good; one that was can be had again. */
export function isFinal(error: KvError, wasReady: boolean): boolean {
  if (error.code === 'PROTOCOL') return !wasReady
  return FINAL_CODES.has(error.code)
}

export function endError(end: TransportEnd, url: string, wasReady: boolean): KvError {
  const said = end.reason === '' ? `code ${end.code}` : `code ${end.code}: ${end.reason}`
  switch (end.code) {
    case CLOSE_CODES.unauthenticated:
      return refusal('UNAUTHENTICATED', `${url} refused the token (${said}); check token, KV_TOKEN`)
    case CLOSE_CODES.forbidden:
      return refusal('FORBIDDEN', `${url} does not allow this client in (${said})`)
    case CLOSE_CODES.protocol:
      return refusal('PROTOCOL', `${url} says that the client broke the protocol (${said})`)
    default: {
      const why = end.error === undefined ? said : messageOf(end.error)
      const { error: cause } = end
      if (wasReady) {
        return new KvError('UNAVAILABLE', `the connection to ${url} ended (${why})`, { cause })
      }
      const message = `cannot connect to ${url} (${why}); is a node running there?`
      return new KvError('UNAVAILABLE', message, { outcome: 'not-applied', cause })
    }
  }
}

function messageOf(error: Error & { readonly code?: unknown }): string {
  if (error.message !== '') return error.message
  return typeof error.code === 'string' ? error.code : error.name
}

export function failureError(failure: Failure, url: string): KvError {
  return refusal(errorCodeOf(failure.code), `${url} ended the connection: ${failure.message}`)
}

export function versionError(found: number, url: string): KvError {
  return refusal(
    'PROTOCOL',
    `${url} speaks version ${found} of the protocol, this client ${PROTOCOL_VERSION}: ` +
      'update the older one',
  )
}

export function silenceError(url: string, what: string): KvError {
  return new KvError('UNAVAILABLE', `${url} ${what}`)
}

function refusal(code: ErrorCode, message: string): KvError {
  return new KvError(code, message, { outcome: 'not-applied' })
}
