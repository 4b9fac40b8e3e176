/**
 * A disk that is full, for real: writes are refused and say so, reads go on, nothing acknowledged is
 * lost, and writing goes on by itself when there is room again.
 */
import type { UntypedClient } from '@kv/client'
import { KvError } from '@kv/client'
import { describe, expect, test } from 'vitest'
import { sceneOfTest } from './scene/scene.js'
import { SmallDisk } from './scene/small-disk.js'
import { until } from './scene/until.js'

const DISK_MEGABYTES = 48
const LEFT_BYTES = 4 * 1_048_576
const VALUE_BYTES = 50_000
const WRITES_MAX = 2_000
const TIMEOUT_MS = 90_000

const whyNot = SmallDisk.whyNot()

describe(`a full disk${whyNot === undefined ? '' : ` (skipped: ${whyNot})`}`, () => {
  test.skipIf(whyNot !== undefined)(
    'writes → NO_SPACE, reads go on, nothing acknowledged is lost, writing resumes (P1, P7)',
    async () => {
      const scene = sceneOfTest()
      const disk = SmallDisk.mount(DISK_MEGABYTES)
      scene.onEnd(() => disk.unmount())
      const start = { children: 2, shards: 4, dataDir: disk.directory }
      const node = await scene.startNode(start)
      const pids = node.topology().children.map(({ pid }) => pid)
      const client = scene.client({ url: node.url, timeout: 5_000 })
      const stored = new Map<string, number>()
      const unknown = new Set<string>()
      for (let index = 0; index < 20; index += 1) await write(client, index, stored, unknown)
      disk.fillBut(LEFT_BYTES)

      const refused: KvError[] = []
      for (let index = 20; index < WRITES_MAX && refused.length < 20; index += 1) {
        const error = await write(client, index, stored, unknown)
        if (error !== undefined) refused.push(error)
      }
      expect(new Set(refused.map(({ code, outcome }) => `${code} ${outcome}`))).toEqual(
        new Set(['NO_SPACE not-applied']),
      )
      expect(await lost(client, stored, unknown)).toEqual([])
      const { shards } = await node.stats()
      expect(shards.some(({ writesBlocked }) => writesBlocked !== undefined)).toBe(true)

      disk.makeRoom()
      await until(
        'writing goes on',
        async () => (await write(client, WRITES_MAX, stored, unknown)) === undefined,
        30_000,
      )
      expect(await lost(client, stored, unknown)).toEqual([])
      expect(node.topology().children.map(({ pid }) => pid)).toEqual(pids)

      await client.close()
      await node.close()
      const again = await scene.startNode(start)
      expect(await lost(scene.client(again.url), stored, unknown)).toEqual([])
    },
    TIMEOUT_MS,
  )
})

/** The error, if it was refused. */
async function write(
  client: UntypedClient,
  index: number,
  stored: Map<string, number>,
  unknown: Set<string>,
): Promise<KvError | undefined> {
  const key = `key/${index}`
  try {
    await client.set(key, new Uint8Array(VALUE_BYTES).fill(index))
    stored.set(key, index)
    return undefined
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    if (error.outcome === 'unknown') unknown.add(key)
    return error
  }
}

/** Keys that do not hold what was acknowledged, and such as hold what was refused. */
async function lost(
  client: UntypedClient,
  stored: ReadonlyMap<string, number>,
  unknown: ReadonlySet<string>,
): Promise<string[]> {
  const keys = [...stored.keys()]
  const values = await client.getMany(keys)
  const wrong = keys.filter((key, index) => {
    const value = values[index] as Uint8Array | undefined
    const byte = (stored.get(key) ?? 0) & 0xff
    return value?.length !== VALUE_BYTES || value.some((each) => each !== byte)
  })
  const found = await client.keys({ prefix: 'key/' }).toArray()
  return [...wrong, ...found.filter((key) => !stored.has(key) && !unknown.has(key))]
}
