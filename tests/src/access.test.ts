/**
 * Who may come in, and what the port says besides WebSocket.
 */
import type { NodeStats } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { failureOf } from './behaviour/rejection.js'
import { request } from './scene/http-request.js'
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

  test('with a token: pages of this machine and of its own host may ask, others may not', async () => {
    const scene = sceneOfTest()
    const { url } = await scene.startNode({ children: 1, token: 'open sesame' })
    const host = 'kv.example.com:7400'
    for (const origin of ['http://localhost:8080', 'https://kv.example.com']) {
      const socket = await openWebSocket(url, { origin, headers: { host } })
      socket.terminate()
    }
    const foreign = openWebSocket(url, { origin: 'https://example.com', headers: { host } })
    await expect(foreign).rejects.toThrow('403')
  })

  test('without a token: a foreign name that leads here lets no page in (DNS rebinding)', async () => {
    const scene = sceneOfTest()
    const { url } = await scene.startNode({ children: 1 })
    const rebound = { origin: 'http://evil.example', headers: { host: 'evil.example' } }
    await expect(openWebSocket(url, rebound)).rejects.toThrow('403')
    expect((await request(`${httpOf(url)}/stats`, { host: 'evil.example' })).status).toBe(403)
  })

  test('/stats: what every shard and child does, for whom may connect', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2, token: 'open sesame' })
    const stats = `${httpOf(node.url)}/stats`
    const authorization = 'Bearer open sesame'
    expect((await request(stats, {})).status).toBe(401)
    expect((await request(stats, { authorization: 'Bearer sesame' })).status).toBe(401)
    expect((await request(stats, { authorization, origin: 'https://evil.example' })).status).toBe(
      403,
    )
    const origin = 'http://localhost:5173'
    const answer = await request(stats, { authorization, origin })
    expect(answer.headers['access-control-allow-origin']).toBe(origin)
    const { children, shards } = JSON.parse(answer.body) as NodeStats
    expect(children.map(({ pid }) => pid)).toEqual(node.topology().children.map(({ pid }) => pid))
    expect(shards.map(({ primary }) => primary)).toEqual(
      node.topology().shards.map(({ primary }) => primary),
    )
    expect(shards[0]).toMatchObject({ id: 0, keys: 0, state: 'open' })
    expect((await request(stats, { origin }, 'OPTIONS')).status).toBe(204)
    expect((await request(stats, { authorization }, 'POST')).status).toBe(405)
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
      { replicationFactor: 0 },
      { dataDir: '' },
      { nonsense: true },
    ]
    for (const mistake of mistakes) {
      const failure = await failureOf(() => scene.startNode({ dataDir, ...mistake }))
      expect([mistake, failure]).toEqual([mistake, 'TypeError'])
    }
  })
})
