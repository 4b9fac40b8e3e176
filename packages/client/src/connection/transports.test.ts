import { once } from 'node:events'
import { Socket, type AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { createClient as createBrowserClient } from '../browser.js'
import { createClient } from '../index.js'
import type { UntypedClient } from '../kv-client.js'
import { FakeNode } from '../testing/fake-node.js'
import type { WebSocketClass } from './transport-browser.js'

const closers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** The fake node behind a real WebSocket server. */
async function listeningNode(): Promise<{ node: FakeNode; url: string }> {
  const node = new FakeNode(8, 2)
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  server.on('connection', (socket) => {
    const transport = node.openTransport('ws://fake', {
      onOpen: () => {},
      onMessage: (bytes) => {
        socket.send(bytes, { binary: true })
      },
      onClose: ({ code, reason }) => {
        socket.close(code, reason)
      },
    })
    socket.on('message', (data) => {
      transport.send(data)
    })
  })
  await once(server as never, 'listening')
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve(undefined)
        })
      }),
  )
  return { node, url: `kv://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function closing(kv: UntypedClient): UntypedClient {
  closers.push(() => kv.close())
  return kv
}

/** Writes and reads values small and large; returns how many keys the node has then. */
async function countAfterRoundTrips(kv: UntypedClient): Promise<number> {
  const large = new Uint8Array(900_000).fill(7)
  await kv.connect()
  await Promise.all([kv.set('large', large), kv.set('small', { a: [1, 'ü', null] })])
  expect(await kv.get('small')).toEqual({ a: [1, 'ü', null] })
  expect(Buffer.compare((await kv.get<Uint8Array>('large'))!, large)).toBe(0)
  const keys = Array.from({ length: 2_000 }, (_, index) => `key-${index}`)
  await kv.setMany(keys.map((key) => [key, key]))
  expect(await kv.getMany(keys)).toEqual(keys)
  return (await kv.keys().toArray()).length
}

test('transport of Node: values small and large → come back', async () => {
  const { url } = await listeningNode()
  expect(await countAfterRoundTrips(closing(createClient(url)))).toBe(2_002)
})

test('transport of Node: reads and writes of one turn to two children → one system call', async () => {
  const { url } = await listeningNode()
  const kv = closing(createClient(url))
  await kv.connect()
  const port = Number(new URL(url).port)
  const writing = vi.spyOn(Socket.prototype as unknown as { _writev(): void }, '_writev')
  const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`)
  const answered = Promise.all(keys.flatMap((key) => [kv.set(key, key), kv.get(`other-${key}`)]))
  await new Promise(setImmediate)
  const writes = writing.mock.contexts.filter(
    (by) => (by as unknown as Socket).remotePort === port,
  ).length
  writing.mockRestore()
  expect(writes).toBe(1)
  await answered
})

test('transport of browsers: values small and large → come back', async () => {
  const { url } = await listeningNode()
  const { WebSocket } = (await import('ws')) as unknown as { WebSocket: WebSocketClass }
  const kv = closing(createBrowserClient({ url, WebSocket }))
  expect(await countAfterRoundTrips(kv)).toBe(2_002)
})

test('transport of Node: the node ends the connection → its code and reason arrive', async () => {
  const { node, url } = await listeningNode()
  node.isWelcoming = false
  const kv = closing(createClient({ url }))
  const connected = kv.connect()
  const cut = whenGreeted(node).then(() => {
    node.cut(4401, 'wrong token')
  })
  await expect(connected).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining('wrong token'),
  })
  await cut
})

async function whenGreeted(node: FakeNode): Promise<void> {
  while (node.links[0]?.hello === undefined) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

test('transport of Node: nobody listens → connect says so', async () => {
  const { url } = await listeningNode()
  await closers.pop()?.()
  const kv = closing(createClient(url))
  await expect(kv.connect()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('ECONNREFUSED'),
  })
  expect(kv.status).not.toBe('ready')
})
