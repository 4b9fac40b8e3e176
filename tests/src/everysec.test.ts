/**
 * `fsync: 'everysec'`: writes are acknowledged before they are synced, and killed processes lose nothing
 * all the same. What a power cut does is tried on files that lose it (`shard-power-cut.test.ts`).
 */
import { describe, expect, test } from 'vitest'
import { WriteStream } from './load/write-stream.js'
import type { NodeProcess } from './scene/node-process.js'
import { runProgram } from './scene/node-process.js'
import { killNow } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'

const TIMEOUT_MS = 60_000

describe.each([1, 2])("fsync: 'everysec' with copies: %i", (replicationFactor) => {
  const options = { children: 3, fsync: 'everysec', replicationFactor } as const

  test(
    'kill -9 of children, and of everything at once, in mid-stream → every write takes effect, once (P1, P4)',
    async () => {
      const scene = sceneOfTest()
      let node = await scene.serve(options)
      const clients = [0, 1].map(() => scene.client({ url: node.url, timeout: 30_000 }))
      const stream = new WriteStream(clients, { prefix: 'stream/' })
      await stream.untilAcknowledged(500)
      for (let round = 0; round < 3; round += 1) {
        killNow(node.childPids()[round]!)
        await stream.untilAcknowledged(300)
      }
      for (let round = 0; round < 2; round += 1) {
        node = await killedAndStarted(scene, node, options)
        await stream.untilAcknowledged(300)
      }
      await stream.end()
      const violations = await stream.violations(scene.client(node.url))
      expect([...stream.failures.map(String), ...violations]).toEqual([])
      await node.terminate()
      const { code, output } = await runProgram(['verify', node.directory])
      expect({ code, output }).toEqual({ code: 0, output })
    },
    TIMEOUT_MS,
  )
})

test(
  'versions go on above a jump with every start, and stay unique when the node is told `always` again',
  async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const versions: number[] = []
    for (const fsync of ['always', 'everysec', 'everysec', 'always'] as const) {
      const node = await scene.startNode({ dataDir, children: 1, fsync })
      const kv = scene.client(node.url)
      for (let write = 0; write < 3; write += 1) {
        const { version } = await kv.set('key', `${fsync} ${write}`)
        versions.push(version)
      }
      expect((await node.stats()).coordinator.fsync).toBe(fsync)
      await kv.close()
      await node.close()
    }
    expect(versions.map((version) => Math.floor(version / 2 ** 24))).toEqual([
      0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3,
    ])
    expect(versions).toEqual([...new Set(versions)].toSorted((one, other) => one - other))
  },
  TIMEOUT_MS,
)

/** On the same directory and port, so that clients find it. */
async function killedAndStarted(
  scene: Scene,
  node: NodeProcess,
  options: Parameters<Scene['serve']>[0],
): Promise<NodeProcess> {
  const pids = [node.pid, ...node.childPids()]
  for (const pid of pids) killNow(pid)
  await node.exited
  const port = Number(new URL(node.url).port)
  return scene.serve({ ...options, directory: node.directory, port })
}
