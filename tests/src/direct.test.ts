/**
 * Clients that go straight to the children of a node, past its coordinator.
 */
import { once } from 'node:events'
import type { KvNode } from '@kv/node'
import type { NodeMessage, Welcome } from '@kv/protocol'
import { CLOSE_CODES, decodeNodeMessage, encodeClientMessage, PROTOCOL_VERSION } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { rejectionOf } from './behaviour/rejection.js'
import { TcpProxy } from './faults/nemesis/tcp-proxy.js'
import { WriteStream } from './load/write-stream.js'
import { pidOf } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'
import type { WebSocket } from './scene/web-socket.js'
import { openWebSocket } from './scene/web-socket.js'

const TIMEOUT_MS = 60_000
const KEYS = Array.from({ length: 64 }, (_, index) => `direct/${index}`)

function portsOf(node: KvNode): number[] {
  return node.topology().children.map(({ port }) => port)
}

/** Of each child. */
async function directConnectionsOf(node: KvNode): Promise<number[]> {
  return (await node.stats()).children.map(({ directConnections }) => directConnections)
}

const NOBODY = { clientId: 0, secret: new Uint8Array(0) }

/** A connection whose HELLO was accepted. */
async function welcomed(
  url: string,
  identity: Pick<Welcome, 'clientId' | 'secret'> = NOBODY,
): Promise<{ socket: WebSocket; welcome: Welcome }> {
  const socket = await openWebSocket(url)
  const answer = once(socket, 'message')
  const hello = { protocolVersion: PROTOCOL_VERSION, token: '', name: 'test' }
  socket.send(encodeClientMessage({ type: 'hello', ...hello, ...identity }))
  const [data] = (await answer) as [Buffer]
  return { socket, welcome: decodeNodeMessage(data) as Welcome }
}

describe('the way of a batch', () => {
  test('direct: true → nothing but the greeting goes through the coordinator', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2 })
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: true })
    await client.setMany(KEYS.map((key, index) => [key, index]))
    expect(await client.getMany(KEYS)).toEqual(KEYS.map((_, index) => index))
    expect(tap.takeMessages().map(({ type }) => type)).toEqual(['hello'])
  })

  test("'auto' → through the coordinator first, then past it, without a call that fails", async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2 })
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: 'auto' })
    let count = 0
    await until('everything to go past the coordinator', async () => {
      count += KEYS.length
      const results = await Promise.all(KEYS.map((key) => client.increment(key)))
      expect(results.map(({ value }) => value)).toEqual(KEYS.map(() => count / KEYS.length))
      return tap.takeMessages().length === 0
    })
  })

  test('the coordinator does not answer → what children are asked is answered all the same', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2 })
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: true })
    await client.setMany(KEYS.map((key) => [key, key]))
    tap.hold()
    expect(await client.getMany(KEYS)).toEqual(KEYS)
  })
})

describe('ports of children', () => {
  test('any: each has one of its own; none: nobody listens, and calls are relayed', async () => {
    const scene = sceneOfTest()
    const any = await scene.startNode({ children: 3 })
    expect(new Set(portsOf(any)).size).toBe(3)
    expect(portsOf(any).every((port) => port > 0)).toBe(true)
    const none = await scene.startNode({ children: 2, directPorts: 'none' })
    expect(portsOf(none)).toEqual([0, 0])
    const client = scene.client({ url: none.url, direct: 'auto' })
    for (const key of KEYS) await client.set(key, 1)
    expect(await client.getMany(KEYS)).toEqual(KEYS.map(() => 1))
  })

  test('a range with too few free ports → who has none is reached through the coordinator', async () => {
    const scene = sceneOfTest()
    const taken = await scene.startNode({ children: 1 })
    const [port] = portsOf(taken)
    const node = await scene.startNode({ children: 2, directPorts: `${port}-${port}` })
    expect(portsOf(node)).toEqual([0, 0])
    const client = scene.client({ url: node.url, direct: 'auto' })
    expect(await client.set('key', 1)).toMatchObject({ ok: true })
  })
})

describe('where a child can not be reached', () => {
  /** The coordinator is where the client looks for it; the children listen elsewhere. */
  async function elsewhere(scene: Scene): Promise<{ node: KvNode; url: string }> {
    const node = await scene.startNode({ children: 2 })
    const proxy = await TcpProxy.start(Number(new URL(node.url).port), '127.0.0.2')
    scene.onEnd(() => proxy.close())
    return { node, url: proxy.url }
  }

  test("'auto' → calls are relayed, and nobody hears of it", async () => {
    const scene = sceneOfTest()
    const { node, url } = await elsewhere(scene)
    const client = scene.client({ url, direct: 'auto' })
    const events: unknown[] = []
    for (const name of ['error', 'reconnecting', 'end'] as const) {
      client.on(name, (event) => events.push(event))
    }
    for (let round = 0; round < 40; round += 1) {
      expect(await client.setMany(KEYS.map((key) => [key, round]))).toHaveLength(KEYS.length)
    }
    expect(await client.getMany(KEYS)).toEqual(KEYS.map(() => 39))
    expect(events).toEqual([])
    expect(await directConnectionsOf(node)).toEqual([0, 0])
  })

  test('direct: true → calls fail in time, and say what could not be reached', async () => {
    const scene = sceneOfTest()
    const { url } = await elsewhere(scene)
    const client = scene.client({ url, direct: true, timeout: 1_000 })
    const failure = await rejectionOf(() => client.set('key', 1))
    expect(failure).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
    expect(String(failure)).toContain('cannot connect to ws://127.0.0.2:')
  })
})

describe('connections', () => {
  test('each client has one to each child it writes to; status counts them', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 3 })
    const clients = [1, 2].map(() => scene.client({ url: node.url, direct: true }))
    for (const client of clients) await client.setMany(KEYS.map((key) => [key, 1]))
    expect(await directConnectionsOf(node)).toEqual([2, 2, 2])
    expect((await node.stats()).coordinator.connections).toBe(2)
    await Promise.all(clients.map((client) => client.close()))
    await until('the children have noticed', async () => {
      return (await directConnectionsOf(node)).every((count) => count === 0)
    })
  })
})

describe('a child that is not wanted any more', () => {
  test(
    'ends its direct connections in order → no call fails, nothing is lost or done twice (P1, P3, P4)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.startNode({ children: 4 })
      const options = { url: node.url, timeout: 30_000 }
      const stream = new WriteStream([scene.client(options), scene.client(options)], {
        prefix: 'stream/',
      })
      scene.onEnd(() => stream.end().catch(() => undefined))
      await until('both clients go straight to all of them', async () => {
        return (await directConnectionsOf(node)).every((count) => count === 2)
      })
      const { welcome } = await welcomed(node.url)
      const { clientId, secret } = welcome
      const last = await welcomed(`kv://127.0.0.1:${portsOf(node).at(-1)}`, { clientId, secret })
      const closed = new Promise<number>((resolve) => last.socket.once('close', resolve))
      await node.scale(2)
      expect(await closed).toBe(CLOSE_CODES.goingAway)
      await stream.untilAcknowledged(300)
      expect(await directConnectionsOf(node)).toEqual([2, 2])
      await stream.end()
      expect(stream.failures.map(String)).toEqual([])
      expect(await stream.violations(scene.client(node.url))).toEqual([])
    },
    TIMEOUT_MS,
  )
})

describe('who may come in', () => {
  /** What a child says to a client of this identity. */
  async function answerTo(
    port: number,
    hello: { readonly clientId: number; readonly secret: Uint8Array; readonly token: string },
  ): Promise<NodeMessage> {
    const socket = await openWebSocket(`kv://127.0.0.1:${port}`)
    const answer = new Promise<NodeMessage>((resolve) => {
      socket.once('message', (data) => {
        resolve(decodeNodeMessage(data as Buffer))
      })
    })
    const version = { protocolVersion: PROTOCOL_VERSION, name: 'test' }
    socket.send(encodeClientMessage({ type: 'hello', ...version, ...hello }))
    const message = await answer
    socket.terminate()
    return message
  }

  test('without the token, or as a client that no coordinator has welcomed → refused', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 1, token: 'open sesame' })
    const [port = 0] = portsOf(node)
    const nobody = { clientId: 0, secret: new Uint8Array(0), token: 'open sesame' }
    expect(await answerTo(port, { ...nobody, token: 'wrong' })).toMatchObject({
      type: 'failure',
      message: 'the token is wrong',
    })
    expect(await answerTo(port, nobody)).toMatchObject({
      type: 'failure',
      message: 'a child takes only clients that its coordinator has welcomed',
    })
    const forged = { ...nobody, clientId: 1, secret: new Uint8Array(32) }
    expect(await answerTo(port, forged)).toMatchObject({ type: 'failure' })
  })

  test('a page of elsewhere → 403, as at the port of the node', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 1 })
    const foreign = openWebSocket(`kv://127.0.0.1:${portsOf(node)[0]}`, {
      origin: 'https://example.com',
    })
    await expect(foreign).rejects.toThrow('403')
  })
})

describe('kill -9 of a child under direct connections', () => {
  test(
    'each in turn in mid-stream → no write fails, each took effect once, in order (P1, P3, P4)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.startNode({ children: 2 })
      const options = { url: node.url, timeout: 20_000, direct: true }
      const stream = new WriteStream([scene.client(options), scene.client(options)], {
        prefix: 'stream/',
      })
      for (const child of [1, 2, 1]) {
        await stream.untilAcknowledged(200)
        const pid = pidOf(node, child)
        killNow(pid)
        await until(
          `child ${child} to be replaced`,
          () => pidOf(node, child) !== pid && pidOf(node, child) > 0,
        )
      }
      await stream.untilAcknowledged(200)
      await stream.end()
      expect(stream.failures.map(String)).toEqual([])
      expect(await stream.violations(scene.client(node.url))).toEqual([])
    },
    TIMEOUT_MS,
  )

  test('a node that ends in order answers what its children have taken', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2 })
    const client = scene.client({ url: node.url, direct: true, timeout: 3_000 })
    await client.setMany(KEYS.map((key) => [key, 0]))
    const writes = Promise.allSettled(KEYS.map((key) => client.set(key, 1)))
    await node.close()
    // One that found the node gone already was never taken.
    const refused = (await writes).filter((settled) => settled.status === 'rejected')
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'TIMEOUT' })
  })
})
