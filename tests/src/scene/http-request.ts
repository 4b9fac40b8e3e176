/**
 * HTTP with headers that `fetch` does not let a program choose: a browser chooses them for a page.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export function request(
  url: string,
  headers: OutgoingHttpHeaders,
  method: string = 'GET',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { headers, method, agent: false })
    sent.once('error', reject)
    sent.once('response', (response) => {
      const { statusCode: status = 0, headers: received } = response
      text(response).then((body) => resolve({ status, headers: received, body }), reject)
    })
    sent.end()
  })
}
