/**
 * Two copies of every shard: children that die, hang and come back while clients write and read.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { WriteStream } from './load/write-stream.js'
import { runProgram } from './scene/node-process.js'
import { isBalanced, pidOf } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const TIMEOUT_MS = 180_000

/** Every shard is served, every copy is in sync, and no child has much more than another. */
function isWhole(node: KvNode, copies: number = 2): boolean {
  return isBalanced(node) && node.topology().shards.every(({ inSync }) => inSync.length === copies)
}

async function untilWhole(node: KvNode): Promise<void> {
  await until('every copy is in sync', () => isWhole(node), 60_000)
}

async function untilReplaced(node: KvNode, child: number, pid: number): Promise<void> {
  await until(`child ${child} is replaced`, () => ![0, pid].includes(pidOf(node, child)), 60_000)
  await untilWhole(node)
}

/** A stream of writes while something happens, and what is to be found of it. */
class Load {
  readonly stream: WriteStream
  private readonly scene: Scene
  private readonly dataDir: string

  constructor(scene: Scene, dataDir: string, node: KvNode, clients: number = 2) {
    this.scene = scene
    this.dataDir = dataDir
    const all = Array.from({ length: clients }, () => {
      return scene.client({ url: node.url, timeout: 30_000 })
    })
    this.stream = new WriteStream(all, { prefix: 'stream/' })
  }

  /**
   * Ends it, and the node, and starts it again. What is missing, what failed and what is damaged, in
   * words; nothing, as it should be.
   */
  async findings(node: KvNode): Promise<string[]> {
    await this.stream.untilAcknowledged(100)
    await this.stream.end()
    const before = await this.stream.violations(this.scene.client(node.url))
    await untilWhole(node)
    await node.close()
    const { code, output } = await runProgram(['verify', this.dataDir])
    const isSound = code === 0 && output.includes('shards     16, replicas 32')
    const again = await this.scene.startNode({ dataDir: this.dataDir, children: 2 })
    const after = await this.stream.violations(this.scene.client(again.url))
    return [...this.stream.failures.map(String), ...before, ...(isSound ? [] : [output]), ...after]
  }
}

describe('two copies', () => {
  test(
    'kill -9 of each child in turn in mid-stream → nothing acknowledged is lost (P1, P4, P5)',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const node = await scene.startNode({ dataDir, children: 3, replicationFactor: 2 })
      await untilWhole(node)
      const load = new Load(scene, dataDir, node)
      for (const { id, pid } of node.topology().children) {
        await load.stream.untilAcknowledged(200)
        killNow(pid)
        await untilReplaced(node, id, pid)
      }
      expect(await load.findings(node)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'with two children, again and again before it has caught up → nothing is lost (P1)',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const node = await scene.startNode({
        dataDir,
        children: 2,
        replicationFactor: 2,
        minInSync: 1,
      })
      await untilWhole(node)
      const load = new Load(scene, dataDir, node)
      await load.stream.untilAcknowledged(200)
      for (let round = 0; round < 4; round += 1) {
        const pid = pidOf(node, 1)
        killNow(pid)
        await until('it is replaced', () => ![0, pid].includes(pidOf(node, 1)), 60_000)
        await load.stream.untilAcknowledged(20)
      }
      await untilWhole(node)
      expect(await load.findings(node)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'all children at once → everything that was acknowledged is there (P1)',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const node = await scene.startNode({ dataDir, children: 3, replicationFactor: 2 })
      await untilWhole(node)
      const load = new Load(scene, dataDir, node)
      await load.stream.untilAcknowledged(200)
      const before = node.topology().children.map(({ pid }) => pid)
      for (const pid of before) killNow(pid)
      await until('all are replaced', () => {
        return node.topology().children.every(({ pid }) => pid > 0 && !before.includes(pid))
      })
      await untilWhole(node)
      expect(await load.findings(node)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'a child that hangs → the others go on, it is replaced and catches up (P1, P5)',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const options = { dataDir, children: 2, replicationFactor: 2, pingTimeoutMs: 1_500 }
      const node = await scene.startNode(options)
      await untilWhole(node)
      const load = new Load(scene, dataDir, node)
      await load.stream.untilAcknowledged(200)
      const pid = pidOf(node, 2)
      process.kill(pid, 'SIGSTOP')
      await untilReplaced(node, 2, pid)
      expect(await load.findings(node)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'a copy is gone from its disk → built anew from the other, with nothing lost (P1, P8)',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const node = await scene.startNode({ dataDir, children: 2, replicationFactor: 2 })
      await untilWhole(node)
      const client = scene.client(node.url)
      const entries = Array.from({ length: 2_000 }, (_, index) => [`key ${index}`, index] as const)
      await client.setMany(entries)
      const { copies } = node.topology().shards[3] ?? { copies: [] }
      const lost = copies.find(({ role }) => role === 'backup')
      const pid = pidOf(node, lost?.child ?? 0)
      process.kill(pid, 'SIGSTOP')
      rmSync(lost?.directory ?? '', { recursive: true })
      killNow(pid)
      await untilReplaced(node, lost?.child ?? 0, pid)
      expect(readdirSync(join(dataDir, 'shards', '3'))).toEqual(['0', '1'])
      // The other copy goes: what was built anew is all there is.
      const kept = copies.find(({ role }) => role !== 'backup')
      const keptPid = pidOf(node, kept?.child ?? 0)
      process.kill(keptPid, 'SIGSTOP')
      rmSync(kept?.directory ?? '', { recursive: true })
      killNow(keptPid)
      await untilReplaced(node, kept?.child ?? 0, keptPid)
      const values = await scene.client(node.url).getMany(entries.map(([key]) => key))
      expect(values).toEqual(entries.map(([, value]) => value))
    },
    TIMEOUT_MS,
  )

  test(
    'the node is closed under load → everything is in both copies, and it took no time-out (P1)',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const node = await scene.startNode({ dataDir, children: 2, replicationFactor: 2 })
      await untilWhole(node)
      const load = new Load(scene, dataDir, node)
      await load.stream.untilAcknowledged(300)
      expect(await load.findings(node)).toEqual([])
    },
    TIMEOUT_MS,
  )
})
