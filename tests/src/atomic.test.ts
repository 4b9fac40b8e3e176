/**
 * Atomic batches on real nodes: routing, and children that die in the middle.
 */
import type { UntypedClient } from '@kv/client'
import { KvError } from '@kv/client'
import { describe, expect, test } from 'vitest'
import { failureOf, rejectionOf } from './behaviour/rejection.js'
import { isBalanced, keysOfShard, pidOf } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const TIMEOUT_MS = 60_000
const SHARDS = 16
const KEYS_PER_BATCH = 20

describe('atomic: keys of different shards', () => {
  test('CROSS_SHARD names them, also when the client did not know the shards yet', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2, shards: SHARDS })
    const [one = ''] = keysOfShard(1, SHARDS, 1)
    const [two = ''] = keysOfShard(2, SHARDS, 1)
    const unconnected = scene.client(node.url)
    const connected = scene.client(node.url)
    await connected.connect()
    for (const client of [unconnected, connected]) {
      const error = await rejectionOf(() => client.atomic().set(one, 1).set(two, 2).commit())
      expect(error).toBeInstanceOf(KvError)
      expect(error).toMatchObject({ code: 'CROSS_SHARD', outcome: 'not-applied' })
      expect((error as KvError).message).toContain(`"${one}", "${two}"`)
    }
    expect(await connected.hasMany([one, two])).toEqual([false, false])
    const [, neighbour = ''] = keysOfShard(1, SHARDS, 2)
    expect(await connected.atomic().set(one, 1).set(neighbour, 2).commit()).toMatchObject({
      ok: true,
    })
  })
})

describe('atomic: kill -9 in the middle', () => {
  test(
    'P1, P2: batches are there as a whole or not at all, and those acknowledged are',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const node = await scene.startNode({ dataDir, children: 2, shards: SHARDS })
      const writers = [0, 1, 2, 3].map(
        (shard) => new BatchWriter(scene.client({ url: node.url, timeout: 20_000 }), shard),
      )
      for (let round = 0; round < 4; round += 1) {
        await until('more batches are acknowledged', () =>
          writers.every((each) => each.takeDue(25)),
        )
        await replace(node, 1 + (round % 2))
      }
      for (const each of writers) await each.end()
      expect(writers.flatMap(({ torn }) => torn)).toEqual([])

      await node.close()
      const again = await scene.startNode({ dataDir, children: 2, shards: SHARDS })
      const client = scene.client(again.url)
      for (const each of writers) {
        const standing = await each.standing(client)
        expect(new Set(standing).size).toBe(1)
        expect(standing).toHaveLength(KEYS_PER_BATCH)
        expect(standing[0]).toBeGreaterThanOrEqual(each.acknowledged)
      }
    },
    TIMEOUT_MS,
  )
})

/** Writes the same number to many keys of one shard, batch by batch, and looks at them meanwhile. */
class BatchWriter {
  /** What was found that no whole batch leaves. */
  readonly torn: (readonly unknown[])[] = []
  acknowledged = 0
  private counted = 0
  private readonly client: UntypedClient
  private readonly prefix: string
  private readonly keys: readonly string[]
  private readonly lanes: readonly Promise<void>[]
  private isEnding = false

  constructor(client: UntypedClient, shard: number) {
    const [tag = ''] = keysOfShard(shard, SHARDS, 1)
    this.client = client
    this.prefix = `batch/{${tag}}/`
    this.keys = Array.from({ length: KEYS_PER_BATCH }, (_, index) => `${this.prefix}${index}`)
    this.lanes = [this.write(), this.look()]
  }

  /** Whether so many more batches were acknowledged since the last time it said yes. */
  takeDue(count: number): boolean {
    const isDue = this.acknowledged >= this.counted + count
    if (isDue) this.counted = this.acknowledged
    return isDue
  }

  private async write(): Promise<void> {
    for (let number = 1; !this.isEnding; number += 1) {
      const batch = this.client.atomic()
      for (const key of this.keys) batch.set(key, number)
      const failure = await failureOf(async () => {
        await batch.commit()
        this.acknowledged = number
        throw new Error('acknowledged')
      })
      if (!/acknowledged|^UNAVAILABLE/.test(failure)) throw new Error(failure)
    }
  }

  /** A page of one shard is a snapshot. */
  private async look(): Promise<void> {
    while (!this.isEnding) {
      const values = await this.standing(this.client)
      const isWhole = values.length === 0 || values.length === KEYS_PER_BATCH
      if (!isWhole || new Set(values).size > 1) this.torn.push(values)
    }
  }

  async standing(client: UntypedClient): Promise<number[]> {
    const entries = await client.list({ prefix: this.prefix }).toArray()
    return entries.map(({ value }) => value as number)
  }

  async end(): Promise<void> {
    this.isEnding = true
    await Promise.all(this.lanes)
  }
}

async function replace(node: Parameters<typeof pidOf>[0], child: number): Promise<void> {
  const pid = pidOf(node, child)
  killNow(pid)
  await until(`child ${child} is replaced and the balance is back`, () => {
    return pidOf(node, child) !== pid && isBalanced(node)
  })
}
