/**
 * Who may come in, and what the port says besides WebSocket.
 */
import { describe, expect, test } from 'vitest'
import { failureOf } from './behaviour/rejection.js'
import { httpOf, readinessOf } from './scene/readiness.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'
import { openWebSocket } from './scene/web-socket.js'

describe('access', () => {
  test('a token: who shows it comes in, everybody else is UNAUTHENTICATED', async () => {
    const scene = sceneOfTest()
    const { url } = await scene.startNode({ children: 1, token: 'open sesame' })
    const welcome = scene.client({ url, token: 'open sesame' })
    expect((await welcome.set('key', 1)).ok).toBe(true)
    for (const token of [undefined, '', 'open sesamE', 'open sesame ']) {
      const stranger = scene.client({ url, token })
      expect(await failureOf(() => stranger.connect())).toBe('UNAUTHENTICATED not-applied')
      expect(await failureOf(() => stranger.get('key'))).toBe('UNAUTHENTICATED not-applied')
    }
  })

  test('without a token: pages of this machine come in, pages of others do not', async () => {
    const scene = sceneOfTest()
    const { url } = await scene.startNode({ children: 1, origins: ['https://app.example.com'] })
    for (const origin of ['http://localhost:8080', 'http://127.0.0.1', 'https://app.example.com']) {
      const socket = await openWebSocket(url, { origin })
      socket.terminate()
    }
    for (const origin of ['https://example.com', 'http://localhost.example.com', 'null']) {
      await expect(openWebSocket(url, { origin })).rejects.toThrow('403')
    }
  })

  test('/livez and /readyz answer, other paths do not', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 1 })
    const http = httpOf(node.url)
    expect((await fetch(`${http}/livez`)).status).toBe(200)
    expect(await readinessOf(node.url)).toEqual({ status: 200, ready: true, missing: [] })
    expect((await fetch(http)).status).toBe(426)
    expect((await fetch(`${http}/metrics`)).status).toBe(404)
  })

  test('more than connectionsMax → turned away, and let in when there is room', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 1, limits: { connectionsMax: 2 } })
    const first = scene.client(node.url)
    const second = scene.client(node.url)
    await Promise.all([first.connect(), second.connect()])
    const third = scene.client(node.url)
    expect(await failureOf(() => third.connect())).toContain('UNAVAILABLE')
    await first.close()
    await until('there is room', async () => (await node.stats()).coordinator.connections < 2)
    expect((await third.set('key', 1)).ok).toBe(true)
  })

  test('what can be reached from elsewhere needs a token; wrong options are TypeErrors', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const mistakes = [
      { host: '0.0.0.0' },
      { children: 0 },
      { shards: 15 },
      { port: -1 },
      { replicationFactor: 2 },
      { dataDir: '' },
      { nonsense: true },
    ]
    for (const mistake of mistakes) {
      const failure = await failureOf(() => scene.startNode({ dataDir, ...mistake }))
      expect([mistake, failure]).toEqual([mistake, 'TypeError'])
    }
  })
})
