/** HTTP servers that strangers can reach: limits on what they may ask, and on how long it may take. */
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How long the head of a request may take, from the first moment of the connection. */
export const HEADERS_MS_MAX = 5_000

/** How long a request may take to arrive. */
export const REQUEST_MS_MAX = 10_000

export const HEADER_BYTES_MAX = 16_384

/** How long a connection may rest between two requests. */
const KEEP_ALIVE_MS = 5_000

/** How often those times are looked at. */
const CHECK_INTERVAL_MS = 1_000

/** Connections beside those of clients: health checks, and who has not said yet what it wants. */
export const HTTP_CONNECTIONS_MAX = 1_024

/** For so many clients; what comes beyond them and a few is closed as it comes. */
export function newHttpServer(connectionsMax: number): Server {
  const server = createServer({
    headersTimeout: HEADERS_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
  })
  server.maxConnections = connectionsMax + HTTP_CONNECTIONS_MAX
  return server
}

/** Resolves with the port, which is the one asked for unless that was 0. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
