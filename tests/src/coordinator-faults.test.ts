/**
 * The coordinator dies while clients write: children end by themselves, and the next coordinator
 * finds everything that was acknowledged.
 */
import { describe, expect, test } from 'vitest'
import { WriteStream } from './load/write-stream.js'
import type { NodeProcess } from './scene/node-process.js'
import { isRunning, killNow, untilGone } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'

const TIMEOUT_MS = 60_000

describe('kill -9 of the coordinator in mid-stream', () => {
  test(
    'children end by themselves; restarted, every write takes effect, once (P1, P4)',
    async () => {
      const scene = sceneOfTest()
      const { node, stream } = await streaming(scene)
      const children = node.childPids()
      expect(children).toHaveLength(3)
      await node.kill()
      await untilGone(children)
      const again = await restart(scene, node)
      expect(await finish(scene, again, stream)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'restarted at once, the next one waits until no child of the former is left (P1, P5)',
    async () => {
      const scene = sceneOfTest()
      const { node, stream } = await streaming(scene)
      const children = node.childPids()
      await node.kill()
      const again = await restart(scene, node)
      expect(children.filter((pid) => isRunning(pid))).toEqual([])
      expect(await finish(scene, again, stream)).toEqual([])
    },
    TIMEOUT_MS,
  )

  test(
    'a child that hangs does not end by itself; the next coordinator ends it (P5)',
    async () => {
      const scene = sceneOfTest()
      const { node, stream } = await streaming(scene)
      const children = node.childPids()
      process.kill(children[0] ?? 0, 'SIGSTOP')
      await node.kill()
      const again = await restart(scene, node)
      expect(children.filter((pid) => isRunning(pid))).toEqual([])
      expect(await finish(scene, again, stream)).toEqual([])
    },
    TIMEOUT_MS,
  )
})

test(
  'kill -9 of coordinator and children at once in mid-stream → every acknowledged write is there (P1)',
  async () => {
    const scene = sceneOfTest()
    const { node, stream } = await streaming(scene)
    let running = node
    for (let round = 0; round < 2; round += 1) {
      const children = running.childPids()
      killNow(running.pid)
      for (const pid of children) killNow(pid)
      await running.exited
      running = await restart(scene, running)
      await stream.untilAcknowledged(300)
    }
    expect(await finish(scene, running, stream)).toEqual([])
  },
  TIMEOUT_MS,
)

async function streaming(scene: Scene): Promise<{ node: NodeProcess; stream: WriteStream }> {
  const node = await scene.serve({ children: 3 })
  const clients = [0, 1].map(() => scene.client({ url: node.url, timeout: 30_000 }))
  const stream = new WriteStream(clients, { prefix: 'stream/' })
  await stream.untilAcknowledged(500)
  return { node, stream }
}

/** On the same directory and port, so that clients find it. */
function restart(scene: Scene, node: NodeProcess): Promise<NodeProcess> {
  const port = Number(new URL(node.url).port)
  return scene.serve({ directory: node.directory, port, children: 3 })
}

/** What was not as promised. */
async function finish(scene: Scene, node: NodeProcess, stream: WriteStream): Promise<string[]> {
  await stream.untilAcknowledged(300)
  await stream.end()
  const failures = stream.failures.map(String)
  return [...failures, ...(await stream.violations(scene.client(node.url)))]
}
