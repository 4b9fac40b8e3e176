/**
 * `GET /stats`: what the node measures of itself, as JSON, for operators and for pages that show it;
 * `GET /status`: the same for people.
 *
 * Who may connect may ask: the same origins, and the token, if there is one, as
 * `Authorization: Bearer <token>`. Nothing here changes anything.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OriginRules } from '../ingress/origin.js'
import { isHostAllowed, isOriginAllowed } from '../ingress/origin.js'
import type { NodeStats } from './statistics.js'
import { statusPage } from './status-page.js'

/** How long a browser may remember that it may ask. */
const PREFLIGHT_SECONDS = 600

export interface StatsEndpoint {
  readonly origins: OriginRules
  readonly isTokenRight: (token: string) => boolean
  readonly stats: () => Promise<NodeStats>
}

export async function answerStats(
  request: IncomingMessage,
  response: ServerResponse,
  { origins, isTokenRight, stats }: StatsEndpoint,
  form: 'json' | 'page',
): Promise<void> {
  const { origin, authorization = '' } = request.headers
  if (!isOriginAllowed(request.headers, origins) || !isHostAllowed(request.headers, origins)) {
    reply(response, 403, { error: 'this page may not ask; see the setting origins' })
    return
  }
  // A browser hides the answer from a page of another port unless it is told not to.
  response.setHeader('vary', 'origin')
  if (origin !== undefined) response.setHeader('access-control-allow-origin', origin)
  if (request.method === 'OPTIONS') {
    response.writeHead(204, {
      'access-control-allow-methods': 'GET',
      'access-control-allow-headers': 'authorization',
      'access-control-max-age': String(PREFLIGHT_SECONDS),
    })
    response.end()
  } else if (request.method !== 'GET') {
    response.setHeader('allow', 'GET, OPTIONS')
    reply(response, 405, { error: 'only GET' })
  } else if (!isTokenRight(tokenOf(authorization))) {
    refuseStranger(response)
  } else if (form === 'json') {
    reply(response, 200, await stats())
  } else {
    send(response, 200, 'text/plain; charset=utf-8', statusPage(await stats()))
  }
}

export function refuseStranger(response: ServerResponse): void {
  response.setHeader('www-authenticate', 'Bearer')
  reply(response, 401, { error: 'this node asks for a token: Authorization: Bearer <token>' })
}

export function tokenOf(authorization: string): string {
  return /^Bearer (.+)$/i.exec(authorization)?.[1] ?? ''
}

export function reply(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(body)}\n`)
}

/** Never kept by anything in between. */
function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' })
  response.end(body)
}
