/**
 * @kv/client for Node: the typed client of kv. `browser.ts` is the same for browsers.
 */
import { Client } from './client.js'
import { systemClock } from './clock.js'
import type { OpenDirectWays } from './connection/direct-links.js'
import { DirectLinks } from './connection/direct-links.js'
import { browserTransport } from './connection/transport-browser.js'
import { openNodeTransport } from './connection/transport-node.js'
import type { CreateClient } from './kv-client.js'
import type { ClientTarget } from './settings.js'
import { optionsOf, settingsOf } from './settings.js'

interface NodeProcess {
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Makes a client; nothing is opened before the first call. Environment: KV_URL, KV_TOKEN. */
export const createClient: CreateClient<ClientTarget> = (target?: ClientTarget) => {
  const { process } = globalThis as unknown as { readonly process: NodeProcess }
  const options = optionsOf(target)
  const { KV_URL, KV_TOKEN } = process.env
  // A variable that is set to nothing counts as not set.
  const defaults = { url: KV_URL === '' ? undefined : KV_URL, token: KV_TOKEN }
  const settings = settingsOf(options, defaults)
  const { WebSocket } = options
  const openTransport = WebSocket === undefined ? openNodeTransport : browserTransport(WebSocket)
  const surroundings = { clock: systemClock, random: Math.random, openTransport }
  const { direct = 'auto' } = options
  const openDirectWays: OpenDirectWays | undefined =
    direct === false
      ? undefined
      : (ports) => new DirectLinks({ ...settings, direct }, surroundings, ports)
  const client = new Client(settings, { ...surroundings, openDirectWays })
  return client as never
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
