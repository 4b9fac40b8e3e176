/**
 * `kv-node verify` as an operator uses it: on the directory of a node that does not run.
 */
import { existsSync, readFileSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { UntypedClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { LogFile } from './scene/log-files.js'
import { runProgram } from './scene/node-process.js'
import { killNow, untilGone } from './scene/process-table.js'
import { keysOfShard } from './scene/placement.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const SHARD = 3
const TIMEOUT_MS = 60_000
const VALUE = 'the value that is to be damaged'

async function filled(scene: Scene): Promise<string> {
  const node = await scene.serve({ children: 2 })
  const client = scene.client(node.url)
  const keys = keysOfShard(SHARD, 16, 3)
  for (const key of keys) await client.set(key, VALUE)
  await client.set(keys[0] ?? '', 'replaced', { ttl: 60_000 })
  const children = node.childPids()
  await node.kill()
  for (const pid of children) killNow(pid)
  await untilGone(children)
  return node.directory
}

describe('kv-node verify', () => {
  test('after kill -9 of everything → no damage, code 0; the node starts afterwards (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await filled(scene)
    const { code, output } = await runProgram(['verify', directory])
    expect(output).toContain('no damage')
    expect(output).toContain('shards     16, replicas 16')
    expect(code).toBe(0)
    const node = await scene.serve({ directory })
    expect(await scene.client(node.url).get(keysOfShard(SHARD, 16, 2)[1] ?? '')).toBe(VALUE)
  })

  test('a flipped byte → code 3, with shard, file and offset, and the file as it was (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await filled(scene)
    // Opened and closed once more, the frames are in the segments, and the log says where it ends.
    const node = await scene.serve({ directory })
    await node.terminate()
    const file = LogFile.newestOf(directory, SHARD)
    file.flip(file.find(VALUE))
    const damaged = readFileSync(file.path)
    const { code, output } = await runProgram(['verify', directory])
    expect(output).toMatch(/shard 3: \S+\.log at byte \d+: Log damage/)
    expect(output).toContain('DAMAGE: 1 findings')
    expect(code).toBe(3)
    expect(readFileSync(file.path)).toEqual(damaged)
  })

  test(
    'two copies on two volumes → compared; one that went back in time → what it lacks (P1, P8)',
    async () => {
      const scene = sceneOfTest()
      const volumes = [await scene.directory(), await scene.directory()]
      const [key = ''] = keysOfShard(SHARD, 16, 1)
      const run = async (use: (client: UntypedClient, node: KvNode) => Promise<void>) => {
        const node = await scene.startNode({ dataDir: undefined, volumes, replicationFactor: 2 })
        await until('every shard has two copies in sync', () =>
          node.topology().shards.every(({ primary, inSync }) => primary > 0 && inSync.length === 2),
        )
        const client = scene.client(node.url)
        await use(client, node)
        await client.close()
        await node.close()
      }
      const untilApplied = (node: KvNode): Promise<unknown> =>
        until('it is applied', async () => {
          const { revision = 0, appliedRevision = -1 } = (await node.stats()).shards[SHARD]!
          return revision > 0 && appliedRevision === revision
        })
      await run(async (client, node) => {
        for (let value = 0; value < 50; value += 1) await client.set(key, value)
        await untilApplied(node)
      })
      const sound = await runProgram(['verify', ...volumes])
      expect(sound.output).toContain('no damage')
      expect(sound.output).toContain('shards     16, replicas 32')

      const one = await runProgram(['verify', volumes[0]!])
      expect(one.log).toContain('the node has 2 volumes, not 1: name all of them')
      expect(one.code).toBe(1)

      const copy = volumes.flatMap((volume) => {
        const path = join(volume, 'shards', String(SHARD), '1')
        return existsSync(path) ? [path] : []
      })[0]!
      const kept = join(await scene.directory(), 'kept')
      await cp(copy, kept, { recursive: true })
      await run(async (client, node) => {
        await client.set(key, 'later')
        await untilApplied(node)
      })
      await rm(copy, { recursive: true })
      await cp(kept, copy, { recursive: true })
      const { code, output } = await runProgram(['verify', ...volumes])
      expect(output).toMatch(
        /shard 3: \S+1: it is in sync, but its log ends at revision \d+: copy 0/,
      )
      expect(code).toBe(3)
    },
    TIMEOUT_MS,
  )

  test('a directory in use, or none of a node → code 1 and why', async () => {
    const scene = sceneOfTest()
    const node = await scene.serve({ children: 1 })
    const used = await runProgram(['verify', node.directory])
    expect(used.log).toContain('in use by another kv node')
    expect(used.code).toBe(1)
    const empty = await runProgram(['verify', await scene.directory()])
    expect(empty.log).toContain('holds no data of a kv node')
    expect(empty.code).toBe(1)
  })
})
