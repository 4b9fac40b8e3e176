/**
 * Children that die or hang while clients write and read.
 */
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { WriteStream } from './load/write-stream.js'
import { isBalanced, keysOfShard, pidOf, shardsOfChild, untilBalanced } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const TIMEOUT_MS = 60_000

describe('kill -9 of a child', () => {
  test(
    'each in turn in mid-stream → no write fails, each took effect once, reads go on (P1, P3, P4, P5)',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const node = await scene.startNode({ dataDir, children: 3 })
      const clients = [0, 1, 2].map(() => scene.client({ url: node.url, timeout: 20_000 }))
      const stream = new WriteStream(clients, { prefix: 'stream/' })
      for (const { id } of node.topology().children) {
        await stream.untilAcknowledged(300)
        await replace(node, id)
      }
      await stream.untilAcknowledged(300)
      await stream.end()
      expect(stream.failures.map(String)).toEqual([])
      expect(stream.reads).toBeGreaterThan(0)
      expect(await stream.violations(scene.client(node.url))).toEqual([])

      await node.close()
      const again = await scene.startNode({ dataDir, children: 3 })
      expect(await stream.violations(scene.client(again.url))).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'all at once in mid-stream → no write fails, each took effect once (P1, P4)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.startNode({ children: 3 })
      const clients = [0, 1].map(() => scene.client({ url: node.url, timeout: 20_000 }))
      const stream = new WriteStream(clients, { prefix: 'stream/' })
      await stream.untilAcknowledged(500)
      const before = node.topology().children.map(({ pid }) => pid)
      for (const pid of before) killNow(pid)
      await until('all are replaced', () => {
        const now = node.topology().children.map(({ pid }) => pid)
        return isBalanced(node) && now.every((pid) => !before.includes(pid))
      })
      await stream.untilAcknowledged(300)
      await stream.end()
      expect(stream.failures.map(String)).toEqual([])
      expect(await stream.violations(scene.client(node.url))).toEqual([])
    },
    TIMEOUT_MS,
  )

  test('what is in flight is sent again and succeeds, reads and writes (P4)', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2 })
    const client = scene.client(node.url)
    const shard = shardsOfChild(node, 1)[0] ?? 0
    const [read = '', written = '', counter = ''] = keysOfShard(shard, 16, 3)
    await client.setMany([
      [read, 'kept'],
      [written, 'before'],
    ])
    const pid = pidOf(node, 1)
    process.kill(pid, 'SIGSTOP')
    const calls = [client.get(read), client.getEntry(read).then((entry) => entry?.value)]
    const listed = client.keys({ gte: read, lte: read }).toArray()
    const counted = client.count({ gte: read, lte: read })
    const changed = client.set(written, 'changed')
    const total = client.increment(counter)
    await until('they are under way', async () => {
      return (await node.stats()).coordinator.batchesInFlight >= 2
    })
    killNow(pid)
    expect(await Promise.all(calls)).toEqual(['kept', 'kept'])
    expect(await listed).toEqual([read])
    expect(await counted).toBe(1)
    expect((await changed).ok).toBe(true)
    expect(await client.get(written)).toBe('changed')
    expect((await total).value).toBe(1)
    expect(await client.get(counter)).toBe(1)
  })

  test('its shards are served by the others, then it is replaced and the balance returns (P5)', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2 })
    const client = scene.client(node.url)
    const lost = shardsOfChild(node, 2)
    const epochs = new Map(node.topology().shards.map(({ id, epoch }) => [id, epoch]))
    await client.setMany(lost.map((shard) => [keysOfShard(shard, 16, 1)[0] ?? '', shard] as const))
    const failovers: number[] = []
    node.on('failover', ({ shard }) => failovers.push(shard))
    const exit = new Promise((resolve) => node.on('child-exit', resolve))
    const pid = pidOf(node, 2)
    killNow(pid)
    expect(await exit).toEqual({ child: 2, pid, code: null, signal: 'SIGKILL' })
    await until('each shard is served again', () => lost.every((id) => failovers.includes(id)))
    await untilBalanced(node)
    expect(pidOf(node, 2)).not.toBe(pid)
    for (const shard of lost) {
      const key = keysOfShard(shard, 16, 1)[0] ?? ''
      expect(await client.get(key)).toBe(shard)
      expect(node.topology().shards[shard]?.epoch).toBeGreaterThan(epochs.get(shard) ?? 0)
    }
  })

  test('versions of a key still grow in the next epoch (P2)', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 1 })
    const client = scene.client(node.url)
    const versions: number[] = []
    for (let round = 0; round < 3; round += 1) {
      versions.push((await client.set('key', round)).version)
      await client.delete('key')
      await replace(node, 1)
    }
    versions.push((await client.set('key', 'last')).version)
    expect(versions).toEqual(versions.toSorted((left, right) => left - right))
    expect(new Set(versions).size).toBe(4)
  })
})

test('a child that hangs is killed and replaced; its writes were not lost (P1, P5)', async () => {
  const scene = sceneOfTest()
  const node = await scene.startNode({ children: 2, pingTimeoutMs: 1_500 })
  const client = scene.client(node.url)
  const shard = shardsOfChild(node, 1)[0] ?? 0
  const [key = ''] = keysOfShard(shard, 16, 1)
  await client.set(key, 'written')
  const exit = new Promise((resolve) => node.on('child-exit', resolve))
  process.kill(pidOf(node, 1), 'SIGSTOP')
  expect(await client.get(key)).toBe('written')
  expect(await exit).toMatchObject({ child: 1, signal: 'SIGKILL' })
  await untilBalanced(node)
  expect((await client.set(key, 'again')).ok).toBe(true)
})

async function replace(node: KvNode, child: number): Promise<void> {
  const pid = pidOf(node, child)
  killNow(pid)
  await until(`child ${child} is replaced and the balance is back`, () => {
    return pidOf(node, child) !== pid && isBalanced(node)
  })
}
