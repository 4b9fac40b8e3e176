/**
 * The one port of the node: health checks over HTTP, clients over WebSocket.
 *
 * `/livez` says that the process turns, `/readyz` whether every shard can be used; an orchestrator
 * restarts on the first and routes on the second. `/stats` is what the node measures of itself,
 * `/scale` changes how many children it has. Nothing else is served.
 */
import { STATUS_CODES, createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { KvError } from '@kv/protocol'
import { isOriginAllowed } from '../ingress/origin.js'
import type { ScaleEndpoint } from './scale-endpoint.js'
import { answerScale } from './scale-endpoint.js'
import type { StatsEndpoint } from './stats-endpoint.js'
import { answerStats, reply } from './stats-endpoint.js'

const HEADERS_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
const HEADER_BYTES_MAX = 16_384

export interface Readiness {
  readonly isReady: boolean
  /** What stands in the way, for the operator's eyes. */
  readonly missing: readonly { readonly shard: number; readonly reason: string }[]
}

export interface HttpHandlers extends StatsEndpoint, ScaleEndpoint {
  readonly readiness: () => Readiness
  /** Whether one more client may come in. */
  readonly hasRoom: () => boolean
  /** A request for a WebSocket that may be granted. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

export function createHttpServer(handlers: HttpHandlers): Server {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
  })
  server.on('request', (request, response) => answer(request, response, handlers))
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Until the WebSocket takes over nobody else listens, and an unheard error ends the process.
    socket.on('error', () => socket.destroy())
    if (pathOf(request) !== '/') turnAway(socket, 404)
    else if (!isOriginAllowed(request.headers, handlers.origins)) turnAway(socket, 403)
    else if (!handlers.hasRoom()) turnAway(socket, 503)
    else handlers.upgrade(request, socket, head)
  })
  return server
}

/** Resolves with the port, which is the one asked for unless that was 0. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message
      reject(
        new KvError('UNAVAILABLE', `can't listen on ${host}:${port}: ${why}`, {
          outcome: 'not-applied',
          cause: error,
        }),
      )
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}

function answer(request: IncomingMessage, response: ServerResponse, handlers: HttpHandlers): void {
  const path = pathOf(request)
  if (path === '/livez') reply(response, 200, { live: true })
  else if (path === '/readyz') {
    const { isReady, missing } = handlers.readiness()
    reply(response, isReady ? 200 : 503, { ready: isReady, missing })
  } else if (path === '/stats') {
    answerStats(request, response, handlers).catch(() => response.destroy())
  } else if (path === '/scale') {
    answerScale(request, response, handlers).catch(() => response.destroy())
  } else if (path === '/') {
    response.setHeader('upgrade', 'websocket')
    reply(response, 426, { error: 'this port speaks WebSocket' })
  } else reply(response, 404, { error: 'nothing is here' })
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0]!
}

function turnAway(socket: Duplex, status: number): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
  )
}
