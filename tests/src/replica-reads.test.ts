/**
 * Reads with `consistency: 'replica'` on a node that keeps two copies of every shard.
 */
import type { UntypedClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { expect, test } from 'vitest'
import { keysOfShard, pidOf } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const REPLICA = { consistency: 'replica' } as const
const TIMEOUT_MS = 60_000

async function startCopied(scene: Scene, children: number): Promise<KvNode> {
  const node = await scene.startNode({ children, replicationFactor: 2 })
  await untilCopied(node)
  return node
}

/** Every shard is served, and its other copy is in sync. */
async function untilCopied(node: KvNode): Promise<void> {
  await until('every shard has two copies in sync', () =>
    node.topology().shards.every(({ primary, inSync }) => primary !== 0 && inSync.length === 2),
  )
}

/** Every copy has these values: they answer in turn, so several rounds in a row are of all. */
async function untilRead(
  client: UntypedClient,
  entries: readonly (readonly [key: string, value: unknown])[],
): Promise<void> {
  let inRow = 0
  await until('every copy has the last values', async () => {
    const found = await client.getMany(
      entries.map(([key]) => key),
      REPLICA,
    )
    inRow = found.every((value, index) => value === entries[index]![1]) ? inRow + 1 : 0
    return inRow >= 4
  })
}

interface Reads {
  readonly byPrimary: number
  readonly byBackup: number
}

async function readsOf(node: KvNode, shard: number): Promise<Reads> {
  const { reads = 0, backups = [] } = (await node.stats()).shards[shard]!
  return { byPrimary: reads, byBackup: backups.reduce((sum, backup) => sum + backup.reads, 0) }
}

test(
  'both copies of a shard answer, each about half; other reads are for the primary alone',
  async () => {
    const scene = sceneOfTest()
    const node = await startCopied(scene, 2)
    const client = scene.client(node.url)
    const [key = ''] = keysOfShard(0, 16, 1)
    await client.set(key, 'value')
    // A backup answers once it knows the value to be committed.
    await until('the backup is read', async () => {
      expect(await client.get(key, REPLICA)).toBeOneOf(['value', undefined])
      return (await readsOf(node, 0)).byBackup > 0
    })
    const before = await readsOf(node, 0)
    for (let count = 0; count < 100; count += 1) {
      expect(await client.get(key, REPLICA)).toBe('value')
    }
    const after = await readsOf(node, 0)
    expect(after.byPrimary - before.byPrimary).toBeGreaterThan(30)
    expect(after.byBackup - before.byBackup).toBeGreaterThan(30)
    for (let count = 0; count < 10; count += 1) await client.get(key)
    expect(await readsOf(node, 0)).toEqual({ ...after, byPrimary: after.byPrimary + 10 })
  },
  TIMEOUT_MS,
)

test(
  'P3: under writes → never what was not written, never before its call, and the last in the end',
  async () => {
    const scene = sceneOfTest()
    const node = await startCopied(scene, 2)
    const writer = scene.client(node.url)
    const readers = [0, 1].map(() => scene.client(node.url))
    const keys = keysOfShard(3, 16, 8)
    const called = new Map(keys.map((key) => [key, 0]))
    const early: string[] = []
    let isWriting = true
    const reading = readers.map(async (reader) => {
      let count = 0
      while (isWriting) {
        const found = await reader.getMany(keys, REPLICA)
        for (const [index, value = 0] of (found as (number | undefined)[]).entries()) {
          if (value > called.get(keys[index]!)!) early.push(`${keys[index]} was ${value}`)
        }
        count += 1
      }
      return count
    })
    for (let value = 1; value <= 60; value += 1) {
      for (const key of keys) called.set(key, value)
      await Promise.all(keys.map((key) => writer.set(key, value)))
    }
    isWriting = false
    for (const rounds of await Promise.all(reading)) expect(rounds).toBeGreaterThan(0)
    expect(early).toEqual([])
    for (const reader of readers) {
      await untilRead(
        reader,
        keys.map((key) => [key, 60]),
      )
    }
    expect((await readsOf(node, 3)).byBackup).toBeGreaterThan(0)
  },
  TIMEOUT_MS,
)

test(
  'children are killed one after the other → reads of both kinds go on, none fails',
  async () => {
    const scene = sceneOfTest()
    const node = await startCopied(scene, 3)
    const client = scene.client({ url: node.url, timeout: 20_000 })
    const keys = Array.from({ length: 200 }, (_, index) => `key/${index}`)
    const entries = keys.map((key) => [key, key] as const)
    await client.setMany(entries)
    await untilRead(client, entries)
    const wrong: unknown[] = []
    let isReading = true
    let rounds = 0
    const reading = (async () => {
      while (isReading) {
        const both = [client.getMany(keys, REPLICA), client.getMany(keys)]
        for (const reads of both) {
          // Copies that are in sync again have what was written long before.
          const found = await reads.catch((error: unknown) => [error])
          wrong.push(...found.filter((value, index) => value !== keys[index]))
        }
        rounds += 1
      }
    })()
    for (const { id } of node.topology().children) {
      const former = pidOf(node, id)
      killNow(former)
      await until('the child is replaced', () => ![0, former].includes(pidOf(node, id)))
      await untilCopied(node)
      const seen = rounds
      await until('reads go on', () => rounds > seen + 2)
    }
    isReading = false
    await reading
    expect(wrong).toEqual([])
  },
  TIMEOUT_MS,
)
