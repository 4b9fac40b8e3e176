/** What a stranger can do before it is a client (P7). */
import { once } from 'node:events'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import {
  HEADER_BYTES_MAX,
  HEADERS_MS_MAX,
  HTTP_CONNECTIONS_MAX,
  listen,
  newHttpServer,
  REQUEST_MS_MAX,
} from './listening.js'

async function serve(connectionsMax = 1): Promise<{ server: Server; port: number }> {
  const server = newHttpServer(connectionsMax)
  server.on('request', (_request, response) => response.end('here'))
  const port = await listen(server, '127.0.0.1', 0)
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, port }
}

function dial(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  onTestFinished(() => {
    socket.destroy()
  })
  return socket
}

test('a head or a body that never ends, or nothing at all → let go after seconds', async () => {
  const { server, port } = await serve()
  expect([server.headersTimeout, server.requestTimeout]).toEqual([HEADERS_MS_MAX, REQUEST_MS_MAX])
  server.headersTimeout = 500
  server.requestTimeout = 500
  server.removeAllListeners('request')
  const [head, body, silent] = [dial(port), dial(port), dial(port)]
  head.write('GET / HTTP/1.1\r\nhost: a\r\nx: ')
  body.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nx')
  for (const socket of [head, body, silent]) expect(await text(socket)).toContain('408')
})

test('a head that is too large → 431', async () => {
  const { port } = await serve()
  const socket = dial(port)
  socket.write(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(HEADER_BYTES_MAX)}\r\n\r\n`)
  expect(await text(socket)).toContain('431')
})

test('more connections than clients and a few → closed as they come; room comes back', async () => {
  const { server, port } = await serve(7)
  expect(server.maxConnections).toBe(7 + HTTP_CONNECTIONS_MAX)
  // As many as there may be would not be connected in time on a machine that has other things to do.
  server.maxConnections = 3
  const fitting = Array.from({ length: 3 }, () => dial(port))
  await Promise.all(fitting.map((socket) => once(socket, 'connect')))
  const drops = once(server, 'drop')
  const beyond = dial(port).resume()
  await drops
  await once(beyond, 'close')
  expect(beyond.destroyed).toBe(true)
  fitting[0]?.destroy()
  const answered = async (): Promise<boolean> => {
    const socket = dial(port)
    socket.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    return (await text(socket).catch(() => '')).includes('here')
  }
  let isIn = false
  while (!isIn) isIn = await answered()
})
