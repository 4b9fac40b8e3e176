/**
 * What a client promises while its connection does not: deadlines, aborts, lost lines, closing.
 */
import { createClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { failureOf, rejectionOf } from './behaviour/rejection.js'
import { freePort } from './scene/free-port.js'
import { Scene, sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const shared = new Scene('connection')
let node: KvNode

beforeAll(async () => {
  node = await shared.startNode({ children: 2 })
})
afterAll(() => shared.end())

describe('calls of one turn', () => {
  test('travel together: one message of reads and one of writes per child', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false })
    await client.connect()
    tap.takeMessages()
    const keys = Array.from({ length: 500 }, (_, index) => `turn/${index}`)
    const calls = keys.flatMap((key) => [client.get(`${key}/other`), client.has(`${key}/third`)])
    calls.push(...keys.map((key) => client.set(key, 1).then(() => true)))
    await Promise.all(calls)
    const batches = tap.takeMessages().filter((message) => message.type === 'batch')
    const perChild = new Map<number, number>()
    for (const { child } of batches) perChild.set(child, (perChild.get(child) ?? 0) + 1)
    expect([...perChild.values()]).toEqual([2, 2])
  })

  test('the next turn has a message of its own', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false })
    await client.connect()
    tap.takeMessages()
    await client.get('turn/a')
    await client.get('turn/a')
    expect(tap.batchCount).toBe(2)
  })
})

describe('deadlines', () => {
  test('no answer in time → TIMEOUT: a read had no effect, a write may have', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false })
    await client.connect()
    tap.hold()
    const timeout = 150
    expect(await failureOf(() => client.get('late', { timeout }))).toBe('TIMEOUT not-applied')
    expect(await failureOf(() => client.count({ timeout }))).toBe('TIMEOUT not-applied')
    expect(await failureOf(() => client.list({ timeout }).toArray())).toBe('TIMEOUT not-applied')
    expect(await failureOf(() => client.set('late', 1, { timeout }))).toBe('TIMEOUT unknown')
    const error = await rejectionOf(() => client.increment('late/counter', 1, { timeout }))
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true, outcome: 'unknown' })
    tap.release()
    expect(await client.set('late', 2)).toMatchObject({ ok: true })
    expect(await client.get('late')).toBe(2)
  })

  test('the timeout of the client holds for calls that say nothing', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, timeout: 100 })
    await client.connect()
    tap.hold()
    expect(await failureOf(() => client.get('late'))).toBe('TIMEOUT not-applied')
    tap.release()
  })

  test('nobody listens → calls wait up to their deadline, connect fails at once', async () => {
    const scene = sceneOfTest()
    const client = scene.client(`kv://127.0.0.1:${await freePort()}`)
    expect(await failureOf(() => client.connect())).toContain('UNAVAILABLE')
    const set = failureOf(() => client.set('nowhere', 1, { timeout: 200 }))
    const get = failureOf(() => client.get('nowhere', { timeout: 200 }))
    const list = failureOf(() => client.keys({ timeout: 200 }).toArray())
    expect(await Promise.all([set, get, list])).toEqual([
      'TIMEOUT not-applied',
      'TIMEOUT not-applied',
      'TIMEOUT not-applied',
    ])
  })

  test('a queue that is full → OVERLOADED at once, nothing sent', async () => {
    const scene = sceneOfTest()
    const url = `kv://127.0.0.1:${await freePort()}`
    const client = scene.client({ url, queueCallsMax: 5, timeout: 300 })
    const waiting = Array.from({ length: 5 }, (_, index) => failureOf(() => client.get(`${index}`)))
    expect(await failureOf(() => client.set('one more', 1))).toBe('OVERLOADED not-applied')
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['TIMEOUT not-applied']))
  })
})

describe('aborts', () => {
  test('a call under way → rejects with the reason at once; the client goes on', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false })
    await client.connect()
    tap.hold()
    const controller = new AbortController()
    const { signal } = controller
    const calls = [
      rejectionOf(() => client.get('abort/a', { signal })),
      rejectionOf(() => client.set('abort/b', 'maybe', { signal })),
      rejectionOf(() => client.getMany(['abort/a', 'abort/b'], { signal })),
      rejectionOf(() => client.list({ prefix: 'abort/', signal }).toArray()),
    ]
    await until('the node has answered', () => tap.heldCount >= 2)
    const reason = new Error('no longer needed')
    controller.abort(reason)
    expect(await Promise.all(calls)).toEqual([reason, reason, reason, reason])
    tap.release()
    // A write that was sent may still be applied; this one was.
    expect(await client.get('abort/b')).toBe('maybe')
  })

  test('AbortSignal.timeout → its TimeoutError', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false })
    await client.connect()
    tap.hold()
    const error = await rejectionOf(() => client.get('abort', { signal: AbortSignal.timeout(50) }))
    expect(error).toMatchObject({ name: 'TimeoutError' })
    tap.release()
  })
})

describe('a lost connection', () => {
  test('what was sent is sent again and succeeds; a write takes effect once (P4)', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false })
    const other = scene.client(node.url)
    await other.set('lost/read', 'still here')
    await client.connect()
    tap.hold()
    tap.takeMessages()
    const read = client.get('lost/read')
    const many = client.getMany(['lost/read', 'lost/absent'])
    const written = client.set('lost/written', 1)
    await until('both are under way', () => tap.heldCount >= 2)
    tap.release()
    expect(await read).toBe('still here')
    expect(await many).toEqual(['still here', undefined])
    expect((await written).ok).toBe(true)

    tap.hold()
    const readAgain = client.get('lost/read')
    const lost = client.increment('lost/written')
    await until('both are under way again', () => tap.heldCount >= 2)
    tap.cut()
    tap.release()
    expect((await lost).value).toBe(2)
    expect(await readAgain).toBe('still here')
    expect(await client.get('lost/written')).toBe(2)
  })

  test('calls made while there is no connection go out with the next one', async () => {
    const scene = sceneOfTest()
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false })
    await client.connect()
    const reconnecting = new Promise((resolve) => client.on('reconnecting', resolve))
    tap.cut()
    await reconnecting
    expect(client.status).toBe('reconnecting')
    expect((await client.set('lost/later', 1)).ok).toBe(true)
    expect(await client.get('lost/later')).toBe(1)
    expect(client.status).toBe('ready')
  })

  test('the second host serves when the first is not there', async () => {
    const scene = sceneOfTest()
    const client = scene.client(`kv://127.0.0.1:${await freePort()},${new URL(node.url).host}`)
    expect((await client.set('hosts', 1)).ok).toBe(true)
  })
})

describe('the life of a client', () => {
  test('idle, ready, closed; events say so; a listener can be taken off', async () => {
    const scene = sceneOfTest()
    const client = scene.client(node.url)
    const heard: string[] = []
    client.on('ready', () => heard.push('ready'))
    client.on('ready', () => heard.push('taken off'))()
    client.on('end', () => heard.push('end'))
    expect(client.status).toBe('idle')
    await client.connect()
    expect(client.status).toBe('ready')
    await client.connect()
    await client.close()
    expect(client.status).toBe('closed')
    expect(heard).toEqual(['ready', 'end'])
  })

  test('close → what was called before is answered, what comes after is CLOSED', async () => {
    const scene = sceneOfTest()
    const client = scene.client(node.url)
    const written = client.set('closing', 'flushed')
    const closed = client.close()
    expect(await failureOf(() => client.get('closing'))).toBe('CLOSED not-applied')
    expect(await failureOf(() => client.set('closing', 'late'))).toBe('CLOSED not-applied')
    expect(await failureOf(() => client.keys().toArray())).toBe('CLOSED not-applied')
    expect(await failureOf(() => client.connect())).toBe('CLOSED not-applied')
    expect((await written).ok).toBe(true)
    await closed
    await client.close()
    expect(await scene.client(node.url).get('closing')).toBe('flushed')
  })

  test('a client that was never used closes at once', async () => {
    const client = createClient(node.url)
    await client.close()
    expect(client.status).toBe('closed')
  })

  test('await using closes it', async () => {
    let status = ''
    {
      await using client = createClient(node.url)
      await client.connect()
      client.on('end', () => {
        status = client.status
      })
    }
    expect(status).toBe('closed')
  })

  test('without an address → KV_URL', async () => {
    vi.stubEnv('KV_URL', node.url)
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    await using client = createClient()
    expect((await client.set('environment', 1)).ok).toBe(true)
  })

  test('what is no address → TypeError', () => {
    for (const target of ['', 'http://example.com', '127.0.0.1:7400', [], 5]) {
      expect(() => createClient(target as string)).toThrow(TypeError)
    }
  })
})
