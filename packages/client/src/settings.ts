/**
 * What `createClient` takes, and what it makes of it. Pure: what the platform knows is passed in.
 */
import { HELLO_TEXT_BYTES_MAX, utf8Length } from '@kv/protocol'
import { ADDRESS_DEFAULT, webSocketUrls } from './address.js'
import { timeoutOf } from './call-options.js'
import type { WebSocketClass } from './connection/transport-browser.js'
import { assertOptions } from './known-options.js'
import { mistakeIn } from './mistakes.js'
import type { SessionSettings } from './session/session.js'

const TIMEOUT_MS = 10_000
const QUEUE_BYTES_MAX = 67_108_864
const QUEUE_CALLS_MAX = 1_000_000
const RECONNECT_DELAYS = { baseMs: 25, maxMs: 2_000 } as const

export interface ClientOptions {
  /**
   * `kv://host:port` (WebSocket), `kvs://` (with TLS), `ws://` or `wss://`; several by comma or as
   * an array, tried in turn. Default: `KV_URL`, else `kv://127.0.0.1:7400`; in a page its own host.
   */
  readonly url?: string | readonly string[] | undefined
  /** Proof that the client may use the node. Default: `KV_TOKEN` in Node, else none. */
  readonly token?: string | undefined
  /** What the client calls itself, for the operator's eyes. */
  readonly name?: string | undefined
  /** Milliseconds until a call fails as `TIMEOUT`, unless it says otherwise; default 10,000. */
  readonly timeout?: number | undefined
  /** Encoded bytes of calls that may wait unsent, then `OVERLOADED`; default 64 MiB. */
  readonly queueBytesMax?: number | undefined
  /** Calls that may wait unsent, then `OVERLOADED`; default 1,000,000. */
  readonly queueCallsMax?: number | undefined
  /**
   * Waits between attempts to connect: a random time up to a bound that begins at `baseMs`
   * (default 25), doubles with each failure, and ends at `maxMs` (default 2,000).
   */
  readonly reconnect?:
    | { readonly baseMs?: number | undefined; readonly maxMs?: number | undefined }
    | undefined
  /**
   * Whether calls go to the children of a node without its coordinator. `auto`, the default: on
   * Node.js, where children listen and can be reached; what can't goes through the coordinator. `true`:
   * calls wait for the direct connection. `false`: never, as in a page, which refuses `true`.
   */
  readonly direct?: 'auto' | boolean | undefined
  /** A class like the browser's `WebSocket`, to use in its place. */
  readonly WebSocket?: WebSocketClass | undefined
}

export type ClientTarget = string | readonly string[] | ClientOptions

export interface PlatformDefaults {
  readonly url: string | undefined
  readonly token: string | undefined
}

const CLIENT_OPTIONS = new Set([
  'url',
  'token',
  'name',
  'timeout',
  'queueBytesMax',
  'queueCallsMax',
  'reconnect',
  'direct',
  'WebSocket',
])
const RECONNECT_OPTIONS = new Set(['baseMs', 'maxMs'])

export function optionsOf(target: ClientTarget | undefined): ClientOptions {
  if (target === undefined) return {}
  if (typeof target === 'string' || isList(target)) return { url: target }
  if (typeof target !== 'object' || target === null) {
    throw new TypeError('createClient takes an address, several, or options')
  }
  try {
    assertOptions(target, CLIENT_OPTIONS)
    if (target.reconnect !== undefined) assertOptions(target.reconnect, RECONNECT_OPTIONS)
    const { direct = 'auto' } = target
    if (direct !== 'auto' && typeof direct !== 'boolean') {
      throw new TypeError("direct is 'auto', true or false")
    }
  } catch (error) {
    throw mistakeIn('createClient', undefined, error)
  }
  return target
}

function isList(target: ClientTarget): target is readonly string[] {
  return Array.isArray(target)
}

export function settingsOf(options: ClientOptions, defaults: PlatformDefaults): SessionSettings {
  const { reconnect = {} } = options
  const baseMs = positive('reconnect.baseMs', reconnect.baseMs, RECONNECT_DELAYS.baseMs)
  const maxMs = positive('reconnect.maxMs', reconnect.maxMs, RECONNECT_DELAYS.maxMs)
  return {
    urls: webSocketUrls(options.url ?? defaults.url ?? ADDRESS_DEFAULT),
    token: shortText('token', options.token ?? defaults.token ?? ''),
    name: shortText('name', options.name ?? ''),
    timeoutMs: timeoutOf(options.timeout) ?? TIMEOUT_MS,
    queueBytesMax: positive('queueBytesMax', options.queueBytesMax, QUEUE_BYTES_MAX),
    queueCallsMax: positive('queueCallsMax', options.queueCallsMax, QUEUE_CALLS_MAX),
    reconnectDelays: { baseMs, maxMs },
  }
}

function positive(name: string, value: unknown, otherwise: number): number {
  if (value === undefined) return otherwise
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  throw new TypeError(`${name} is a finite number above 0`)
}

function shortText(name: string, value: unknown): string {
  if (typeof value === 'string' && utf8Length(value) <= HELLO_TEXT_BYTES_MAX) return value
  throw new TypeError(`${name} is a string of at most ${HELLO_TEXT_BYTES_MAX} bytes`)
}
