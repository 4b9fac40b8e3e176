/**
 * Children come and go while the node serves: nobody notices but by the time it takes.
 */
import type { UntypedClient } from '@kv/client'
import type { KvNode, NodeStats } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { rejectionOf } from './behaviour/rejection.js'
import { WatchLog } from './load/watch-log.js'
import { WatchedWrites } from './load/watched-writes.js'
import { WriteStream } from './load/write-stream.js'
import { freePort } from './scene/free-port.js'
import { kvNode } from './scene/programs.js'
import { isBalanced, pidOf } from './scene/placement.js'
import { isRunning, killNow } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'

const TIMEOUT_MS = 120_000

interface Load {
  readonly node: KvNode
  readonly stream: WriteStream
}

function streamOf(scene: Scene, clients: readonly UntypedClient[]): WriteStream {
  const stream = new WriteStream(clients, { prefix: 'stream/' })
  // A test that fails must not leave it to write for ever.
  scene.onEnd(() => stream.end().catch(() => undefined))
  return stream
}

async function loaded(scene: Scene, replicationFactor = 1): Promise<Load> {
  const node = await scene.startNode({ children: 2, replicationFactor })
  const clients = [0, 1].map(() => scene.client({ url: node.url, timeout: 30_000 }))
  const stream = streamOf(scene, clients)
  await stream.untilAcknowledged(300)
  return { node, stream }
}

/** Resolves when the stream has gone on for a while; what was not as promised. */
async function finish({ stream }: Pick<Load, 'stream'>, client: UntypedClient): Promise<string[]> {
  await stream.untilAcknowledged(300)
  await stream.end()
  return [...stream.failures.map(String), ...(await stream.violations(client))]
}

/** Children, and whether each has its share. */
function shapeOf(node: KvNode): { readonly children: number[]; readonly isBalanced: boolean } {
  const children = node.topology().children.map(({ id }) => id)
  return { children, isBalanced: isBalanced(node) }
}

describe('scale while serving', () => {
  test.each([1, 2])(
    'two children → five → two, %i copies: no call fails, nothing is lost or done twice, watch and lock stay (P1, P3, P4, P6)',
    async (copies) => {
      const scene = sceneOfTest()
      const load = await loaded(scene, copies)
      const { node, stream } = load
      const client = scene.client({ url: node.url, timeout: 30_000 })
      const log = new WatchLog(client, { prefix: 'watched/' })
      await log.untilReady()
      const writes = new WatchedWrites(client, 'watched/')
      scene.onEnd(() => writes.end().catch(() => undefined))
      const lock = await client.lock('lock', { ttl: 5_000 })
      const pids = new Set(node.topology().children.map(({ pid }) => pid))

      await node.scale(5)
      expect(shapeOf(node)).toEqual({ children: [1, 2, 3, 4, 5], isBalanced: true })
      for (const { pid } of node.topology().children) pids.add(pid)
      expect(pids.size).toBe(5)
      await stream.untilAcknowledged(200)
      await writes.untilAcknowledged(200)

      await node.scale(2)
      expect(shapeOf(node)).toEqual({ children: [1, 2], isBalanced: true })
      const remaining = new Set(node.topology().children.map(({ pid }) => pid))
      expect([...pids].filter((pid) => isRunning(pid) !== remaining.has(pid))).toEqual([])
      await writes.untilAcknowledged(200)

      expect(await rejectionOf(() => client.lock('lock', { ttl: 5_000 }))).toMatchObject({
        code: 'LOCKED',
      })
      expect(lock.signal.aborted).toBe(false)
      await lock.release()
      await writes.end()
      await log.untilSeen('watched/end', 'end')
      expect(await finish(load, client)).toEqual([])
      expect(writes.missingIn(log)).toEqual([])
      const { violations, resets } = { violations: log.violations(), resets: log.countOf('reset') }
      expect({ violations, resets }).toEqual({ violations: [], resets: 0 })
      await log.stop()
    },
    TIMEOUT_MS,
  )

  test(
    'a child that leaves and one that stays are killed meanwhile → only another plan (P1, P5)',
    async () => {
      const scene = sceneOfTest()
      const load = await loaded(scene)
      const { node } = load
      await node.scale(4)
      const down = node.scale(2)
      killNow(pidOf(node, 4))
      killNow(pidOf(node, 1))
      await down
      expect(shapeOf(node)).toEqual({ children: [1, 2], isBalanced: true })
      expect(await finish(load, scene.client(node.url))).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'another number while it scales → that one',
    async () => {
      const scene = sceneOfTest()
      const load = await loaded(scene)
      const { node } = load
      const former = rejectionOf(() => node.scale(5))
      await node.scale(3)
      expect(await former).toMatchObject({ code: 'CONFLICT', outcome: 'unknown' })
      expect(shapeOf(node)).toEqual({ children: [1, 2, 3], isBalanced: true })
      expect(await finish(load, scene.client(node.url))).toEqual([])
    },
    TIMEOUT_MS,
  )
})

describe('kv-node scale and status', () => {
  test(
    'under load → 0 when nothing is left to move; status shows who has what',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.serve({ children: 2 })
      const client = scene.client({ url: node.url, timeout: 30_000 })
      const stream = streamOf(scene, [client])
      const port = new URL(node.url).port
      const scaled = await kvNode('scale', '4', '--port', port)
      expect(scaled).toMatchObject({ code: 0, stderr: '' })
      expect(scaled.stdout).toMatch(/4 children, nothing to move\n$/)
      const status = await kvNode('status', '--port', port)
      expect(status.stdout).toMatch(/4 children, nothing to move/)
      const { stdout } = await kvNode('status', '--json', '--port', port)
      const { children, shards } = JSON.parse(stdout) as NodeStats
      expect(children.map(({ primaries }) => primaries)).toEqual([4, 4, 4, 4])
      expect(shards.some(({ writeP99Ms = 0 }) => writeP99Ms > 0)).toBe(true)
      expect(await kvNode('scale', '99', '--port', port)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('from 1 to 16') as string,
      })
      expect(await finish({ stream }, client)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test('no node there → 1, and what to look at', async () => {
    const port = String(await freePort())
    const failed = await kvNode('status', '--port', port)
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect(failed.stderr).toContain('is it running, and are --host and --port right?')
  })

  test(
    'the coordinator is killed in the middle → the next one goes on (P1, P4, P5)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.serve({ children: 2 })
      const client = scene.client({ url: node.url, timeout: 30_000 })
      const stream = streamOf(scene, [client])
      await stream.untilAcknowledged(100)
      const port = Number(new URL(node.url).port)
      const response = await fetch(`http://127.0.0.1:${port}/scale?children=5`, { method: 'POST' })
      expect(response.status).toBe(202)
      await node.kill()
      await scene.serve({ directory: node.directory, port, children: 2 })
      const { stdout } = await kvNode('scale', '5', '--port', String(port))
      expect(stdout).toBe('5 children, nothing to move\n')
      expect(await finish({ stream }, client)).toEqual([])
    },
    TIMEOUT_MS,
  )
})

describe('children at a restart', () => {
  test('more and fewer than before → each shard is served, each child has its share', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    for (const children of [2, 5, 3]) {
      const node = await scene.startNode({ dataDir, children })
      const client = scene.client(node.url)
      expect(shapeOf(node).isBalanced).toBe(true)
      await client.setMany(Array.from({ length: 100 }, (_, index) => [`${children}/${index}`, 1]))
      expect(await client.count({ prefix: '2/' })).toBe(100)
      await client.close()
      await node.close()
    }
  })

  test('it was scaled → it keeps that, also if it had not come to its end', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const node = await scene.startNode({ dataDir })
    const scaled = rejectionOf(() => node.scale(4))
    await node.close()
    expect(await scaled).toMatchObject({ code: 'CLOSED' })
    const again = await scene.startNode({ dataDir })
    expect(shapeOf(again)).toEqual({ children: [1, 2, 3, 4], isBalanced: true })
  })
})
