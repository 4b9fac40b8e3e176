/**
 * @kv/client for browsers, and wherever else there is a global `WebSocket`.
 */
import { Client } from './client.js'
import { systemClock } from './clock.js'
import type { WebSocketClass } from './connection/transport-browser.js'
import { browserTransport } from './connection/transport-browser.js'
import type { CreateClient } from './kv-client.js'
import { optionsOf, settingsOf } from './settings.js'
import type { ClientTarget } from './settings.js'

interface Page {
  readonly location?: { readonly protocol: string; readonly host: string }
  readonly WebSocket?: WebSocketClass
}

/** Makes a client; nothing is opened before the first call. Without a target: the page's host. */
export const createClient: CreateClient<ClientTarget> = (target?: ClientTarget) => {
  const page = globalThis as unknown as Page
  const options = optionsOf(target)
  if (options.direct === true) throw new TypeError('direct: a page reaches the coordinator only')
  const settings = settingsOf(options, { url: urlOf(page), token: undefined })
  const Socket = options.WebSocket ?? page.WebSocket
  if (Socket === undefined) {
    throw new TypeError('there is no WebSocket here: give createClient one as an option')
  }
  const openTransport = browserTransport(Socket)
  const client = new Client(settings, { clock: systemClock, random: Math.random, openTransport })
  return client as never
}

function urlOf({ location }: Page): string | undefined {
  if (location === undefined || location.host === '') return undefined
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`
}

export { KvError } from '@kv/protocol'
export type { ErrorCode, Outcome, Topology } from '@kv/protocol'
export type * from './atomic-batch.js'
export type { WebSocketClass } from './connection/transport-browser.js'
export type { ClientEvents, Listener } from './events.js'
export type * from './keyspace.js'
export type * from './kv-client.js'
export type * from './lock/lock.js'
export type * from './namespace.js'
export type * from './schema.js'
export type { ClientOptions, ClientTarget } from './settings.js'
