/**
 * WebSockets as tests need them; the one file here that knows `ws`.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

export { WebSocket, WebSocketServer }

/** `kv://host:port` as `ws://host:port`. */
export function webSocketOf(url: string): string {
  return url.replace(/^kv:/, 'ws:')
}

/** An open connection; rejects if there is none to be had. */
export async function openWebSocket(
  url: string,
  options: { readonly origin?: string; readonly headers?: Record<string, string> } = {},
): Promise<WebSocket> {
  const socket = new WebSocket(webSocketOf(url), { perMessageDeflate: false, ...options })
  await once(socket, 'open')
  return socket
}

/** A server on a free port, which calls `onConnection` for each client. */
export async function listenForWebSockets(
  onConnection: (socket: WebSocket) => void,
): Promise<{ readonly server: WebSocketServer; readonly url: string }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
  server.on('connection', onConnection)
  await once(server, 'listening')
  return { server, url: `kv://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
