/**
 * Clients that go straight to the children of a node, past its coordinator.
 */
import type { KvNode } from '@kv/node'
import type { NodeMessage } from '@kv/protocol'
import { decodeNodeMessage, encodeClientMessage, PROTOCOL_VERSION } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { WriteStream } from './load/write-stream.js'
import { pidOf } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'
import { openWebSocket } from './scene/web-socket.js'

const TIMEOUT_MS = 60_000
const KEYS = Array.from({ length: 64 }, (_, index) => `direct/${index}`)

function portsOf(node: KvNode): number[] {
  return node.topology().children.map(({ port }) => port)
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
