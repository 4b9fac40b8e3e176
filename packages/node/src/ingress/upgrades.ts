/**
 * Lets clients in through an HTTP server: who asks for a WebSocket gets one if the page it came from
 * may connect and there is room.
 */
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { OriginRules } from './origin.js'
import { isOriginAllowed } from './origin.js'
import type { Relay } from './relay.js'
import { UpgradeLine } from './upgrade-line.js'
import { WebSocketPort } from './websocket.js'

export function takeUpgrades(server: Server, relay: Relay, origins: OriginRules): void {
  const sockets = new WebSocketPort()
  const line = new UpgradeLine()
  const answer = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (pathOf(request) !== '/') turnAway(socket, 404)
    else if (!isOriginAllowed(request.headers, origins)) turnAway(socket, 403)
    else if (!relay.hasRoom) turnAway(socket, 503)
    else sockets.upgrade(request, socket, head, (client) => relay.accept(client))
  }
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Until the WebSocket takes over nobody else listens, and an unheard error ends the process.
    socket.on('error', () => socket.destroy())
    const take = (): void => {
      if (line.isFull) turnAway(socket, 503)
      else line.take(() => answer(request, socket, head))
    }
    if (sockets.isLoaded) take()
    else sockets.load().then(take, () => turnAway(socket, 503))
  })
}

export function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0]!
}

function turnAway(socket: Duplex, status: number): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
  )
}
