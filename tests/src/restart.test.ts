/**
 * What a restart finds: the state as it was, replayed or stored, and expiry that went on.
 */
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

describe('expiry', () => {
  test('what has expired is removed through the log, though nobody reads it', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const node = await scene.startNode({ dataDir, children: 2 })
    const client = scene.client(node.url)
    const entries = Array.from({ length: 400 }, (_, index) => ({
      key: `short/${index}`,
      value: index,
      ttl: 300,
    }))
    await client.setMany(entries)
    await client.set('long', 1, { ttl: 600_000 })
    const written = await revisions(node)
    await until('the keys are removed', async () => (await keyCount(node)) === 1)
    expect(await revisions(node)).toBeGreaterThan(written)
    await node.close()
    const again = await scene.startNode({ dataDir, children: 2 })
    expect(await keyCount(again)).toBe(1)
    expect(await scene.client(again.url).count()).toBe(1)
  })

  test('a ttl goes on while the node is down', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const node = await scene.startNode({ dataDir, children: 1 })
    const client = scene.client(node.url)
    await client.set('short', 1, { ttl: 300 })
    await client.set('long', 1, { ttl: 600_000 })
    const { expiresAt } = (await client.getEntry('long')) ?? {}
    await client.close()
    await node.close()
    await until('the time of the short one is over', () => Date.now() > (expiresAt ?? 0) - 599_000)
    const again = await scene.startNode({ dataDir, children: 1 })
    const reader = scene.client(again.url)
    expect(await reader.get('short')).toBe(undefined)
    expect((await reader.getEntry('long'))?.expiresAt).toBe(expiresAt)
  })
})

test('state that was stored and state that is replayed make one (P2)', async () => {
  const scene = sceneOfTest()
  const dataDir = await scene.directory()
  const keys = Array.from({ length: 2_000 }, (_, index) => `key/${index}`)
  const expected = new Map<string, unknown>()
  for (let round = 0; round < 3; round += 1) {
    const node = await scene.startNode({ dataDir, children: 2 })
    const client = scene.client(node.url)
    expect(new Map((await client.list().toArray()).map(({ key, value }) => [key, value]))).toEqual(
      expected,
    )
    const written = keys.filter((_, index) => index % (round + 2) === 0)
    const deleted = keys.filter((_, index) => index % 7 === round)
    await client.setMany(written.map((key) => [key, `${round}`] as const))
    if (round === 1) await until('the writes are stored', async () => (await unapplied(node)) === 0)
    await client.deleteMany(deleted)
    for (const key of written) expected.set(key, `${round}`)
    for (const key of deleted) expected.delete(key)
    await client.close()
    await node.close()
  }
})

test('clear({ all: true }) → nothing is left, after a restart neither', async () => {
  const scene = sceneOfTest()
  const dataDir = await scene.directory()
  const node = await scene.startNode({ dataDir, children: 2 })
  const client = scene.client(node.url)
  await client.setMany(Array.from({ length: 3_000 }, (_, index) => [`${index}`, index] as const))
  await client.set('\u{10ffff}', 'the last key there can be', { ttl: 60_000 })
  expect(await client.clear({ all: true })).toBe(3_001)
  expect(await client.count()).toBe(0)
  expect(await client.clear({ all: true })).toBe(0)
  await client.close()
  await node.close()
  const again = await scene.startNode({ dataDir, children: 2 })
  expect(await scene.client(again.url).keys().toArray()).toEqual([])
})

async function keyCount(node: KvNode): Promise<number> {
  const { shards } = await node.stats()
  return shards.reduce((sum, { keys = NaN }) => sum + keys, 0)
}

async function revisions(node: KvNode): Promise<number> {
  const { shards } = await node.stats()
  return shards.reduce((sum, { revision = NaN }) => sum + revision, 0)
}

async function unapplied(node: KvNode): Promise<number> {
  const { shards } = await node.stats()
  return shards.reduce(
    (sum, { revision = NaN, appliedRevision = NaN }) => sum + revision - appliedRevision,
    0,
  )
}
