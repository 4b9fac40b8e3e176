/**
 * `POST /scale?children=5`: the node is to have so many children. Answered with 202 once that is on
 * disk; `GET /stats` says how far it has come.
 *
 * It is for operators, with the token if there is one, and never for a web page: browsers tell the
 * origin of every POST, so a request with one is refused, whatever page it came from.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { KvError } from '@kv/protocol'
import type { OriginRules } from '../ingress/origin.js'
import { isHostAllowed } from '../ingress/origin.js'
import { refuseStranger, reply, tokenOf } from './stats-endpoint.js'

export interface ScaleEndpoint {
  readonly origins: OriginRules
  readonly isTokenRight: (token: string) => boolean
  /** Resolves when the number is on disk; rejects with a `TypeError` if it can't be. */
  readonly scale: (children: number) => Promise<void>
}

export async function answerScale(
  request: IncomingMessage,
  response: ServerResponse,
  { origins, isTokenRight, scale }: ScaleEndpoint,
): Promise<void> {
  const { origin, authorization = '' } = request.headers
  if (origin !== undefined || !isHostAllowed(request.headers, origins)) {
    reply(response, 403, { error: 'web pages may not scale a node' })
  } else if (request.method !== 'POST') {
    response.setHeader('allow', 'POST')
    reply(response, 405, { error: 'only POST' })
  } else if (!isTokenRight(tokenOf(authorization))) refuseStranger(response)
  else {
    const children = childrenIn(request.url ?? '')
    try {
      await scale(children)
      reply(response, 202, { children })
    } catch (error) {
      reply(response, statusOf(error), { error: (error as Error).message })
    }
  }
}

/** Not a number unless it is the one thing that was asked. */
function childrenIn(url: string): number {
  const asked = /^[^?]*\?children=(\d{1,9})$/.exec(url)?.[1]
  return asked === undefined ? Number.NaN : Number(asked)
}

function statusOf(error: unknown): number {
  if (error instanceof TypeError) return 400
  return error instanceof KvError && error.code === 'CONFLICT' ? 409 : 503
}
