/**
 * The one port of the node: health checks over HTTP, clients over WebSocket.
 *
 * `/livez` says that the process turns, `/readyz` whether every shard can be used; an orchestrator
 * restarts on the first and routes on the second. `/stats` is what the node measures of itself, `/status`
 * the same for people; `/scale` changes how many children it has. Nothing else is served.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { KvError } from '@kv/protocol'
import { listen, newHttpServer } from '../ingress/listening.js'
import type { Relay } from '../ingress/relay.js'
import { pathOf, takeUpgrades } from '../ingress/upgrades.js'
import type { ScaleEndpoint } from './scale-endpoint.js'
import { answerScale } from './scale-endpoint.js'
import type { StatsEndpoint } from './stats-endpoint.js'
import { answerStats, reply } from './stats-endpoint.js'

export interface Readiness {
  readonly isReady: boolean
  /** What stands in the way, for the operator's eyes. */
  readonly missing: readonly { readonly shard: number; readonly reason: string }[]
}

export interface HttpHandlers extends StatsEndpoint, ScaleEndpoint {
  readonly readiness: () => Readiness
  readonly relay: Relay
  readonly connectionsMax: number
}

export function createHttpServer(handlers: HttpHandlers): Server {
  const server = newHttpServer(handlers.connectionsMax)
  server.on('request', (request, response) => answer(request, response, handlers))
  takeUpgrades(server, handlers.relay, handlers.origins)
  return server
}

/** Resolves with the port. Rejects with an `UNAVAILABLE` that says what is in the way. */
export async function takePort(server: Server, host: string, port: number): Promise<number> {
  try {
    return await listen(server, host, port)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'the port is in use' : message
    throw new KvError('UNAVAILABLE', `can't listen on ${host}:${port}: ${why}`, {
      outcome: 'not-applied',
      cause: error,
    })
  }
}

function answer(request: IncomingMessage, response: ServerResponse, handlers: HttpHandlers): void {
  const path = pathOf(request)
  if (path === '/livez') reply(response, 200, { live: true })
  else if (path === '/readyz') {
    const { isReady, missing } = handlers.readiness()
    reply(response, isReady ? 200 : 503, { ready: isReady, missing })
  } else if (path === '/stats' || path === '/status') {
    const form = path === '/stats' ? 'json' : 'page'
    answerStats(request, response, handlers, form).catch(() => response.destroy())
  } else if (path === '/scale') {
    answerScale(request, response, handlers).catch(() => response.destroy())
  } else if (path === '/') {
    response.setHeader('upgrade', 'websocket')
    reply(response, 426, { error: 'this port speaks WebSocket' })
  } else reply(response, 404, { error: 'nothing is here' })
}
