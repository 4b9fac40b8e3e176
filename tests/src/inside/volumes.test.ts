/**
 * Two copies on two volumes: one that fails, one that hangs, one that is gone.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { UntypedClient } from '@kv/client'
import type { KvNode, NodeOptions } from '@kv/node'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { DiskEffect, DiskFault } from '../faults/disk/disk-faults.js'
import { DISK, DiskFaults } from '../faults/disk/disk-faults.js'
import { removeControl, writeControl } from '../faults/inside/control-file.js'
import { installTopologyFileLayer } from '../faults/inside/file-layer.js'
import { WriteStream } from '../load/write-stream.js'
import { runProgram } from '../scene/node-process.js'
import { keysOfShard } from '../scene/placement.js'
import type { Scene } from '../scene/scene.js'
import { sceneOfTest } from '../scene/scene.js'
import { until } from '../scene/until.js'
import { ROOT } from '../tidy/source-files.js'

const TIMEOUT_MS = 240_000
const SHARDS = 16
/** What the client waits for each call; without a busy machine, 2.5 s for a disk that hangs. */
const SERVED_WITHIN_MS = 15_000

const ENTRY = pathToFileURL(join(ROOT, 'tests', 'dist', 'faults', 'inside', 'entry.js')).href

/** By which the disk layer of the tests is told what to do, in the children and in this process. */
const CONTROL = mkdtempSync(join(tmpdir(), 'kv-tests-'))
const LAYER = { NODE_OPTIONS: `--import=${ENTRY}`, FAULTS_CONTROL: CONTROL }

beforeAll(() => {
  for (const [name, value] of Object.entries(LAYER)) vi.stubEnv(name, value)
  installTopologyFileLayer([new DiskFaults(CONTROL, 'coordinator').interceptor])
})

afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(CONTROL, { recursive: true })
})

class Volumes {
  readonly paths: readonly string[]
  private readonly scene: Scene

  private constructor(scene: Scene, paths: readonly string[]) {
    this.scene = scene
    this.paths = paths
  }

  static async make(scene: Scene): Promise<Volumes> {
    return new Volumes(scene, [await scene.directory(), await scene.directory()])
  }

  start(options: Partial<NodeOptions> = {}): Promise<KvNode> {
    const fixed = { dataDir: undefined, volumes: this.paths, replicationFactor: 2, minInSync: 1 }
    return this.scene.startNode({ ...fixed, children: 2, shards: SHARDS, ...options })
  }

  /** Whatever is written to the volume meets this, until it is mended. */
  spoil(volume: number, effect: DiskEffect): void {
    const fault: DiskFault = {
      effect,
      operations: ['open', 'write', 'sync', 'rename', 'unlink', 'syncDirectory'],
      targets: [
        'journal',
        'segment',
        'temporary',
        'mark',
        'binding',
        'state',
        'topology',
        'directory',
        'other',
      ],
      under: this.paths[volume]!,
      oneIn: 1,
      seed: 1,
    }
    writeControl(CONTROL, DISK, fault)
  }

  mend(): void {
    removeControl(CONTROL, DISK)
  }
}

async function untilWhole(node: KvNode): Promise<void> {
  await until(
    'every copy is in sync',
    () => node.topology().shards.every(({ primary, inSync }) => primary > 0 && inSync.length === 2),
    60_000,
  )
}

/** Writes to every shard and reads it back. */
async function useEveryShard(client: UntypedClient, value: number): Promise<void> {
  const keys = Array.from({ length: SHARDS }, (_, shard) => {
    return keysOfShard(shard, SHARDS, 1, 'every/')[0]!
  })
  await Promise.all(
    keys.map(async (key) => {
      await client.set(key, value)
      expect(await client.get(key)).toBe(value)
    }),
  )
}

function pidsOf(node: KvNode): number[] {
  return node.topology().children.map(({ pid }) => pid)
}

describe('a volume goes bad while the node runs', () => {
  test.each([{ type: 'hang' }, { type: 'fail' }] as const)(
    '$type → the other volume serves every shard, the children live, nothing is lost (P1, P5)',
    async (effect) => {
      const scene = sceneOfTest()
      const volumes = await Volumes.make(scene)
      const node = await volumes.start()
      await untilWhole(node)
      const before = pidsOf(node)
      const stream = new WriteStream([scene.client({ url: node.url, timeout: 30_000 })], {
        prefix: 'stream/',
      })
      await stream.untilAcknowledged(200)

      // Under load, so that everything is under way at that moment.
      volumes.spoil(1, effect)
      const client = scene.client({ url: node.url, timeout: SERVED_WITHIN_MS })
      for (let value = 0; value < 12; value += 1) {
        await useEveryShard(client, value)
        await stream.untilAcknowledged(100)
      }
      expect(pidsOf(node)).toEqual(before)
      await stream.end()
      expect(stream.failures).toEqual([])
      await node.close()

      volumes.mend()
      const again = await volumes.start()
      await untilWhole(again)
      await useEveryShard(scene.client(again.url), 12)
      expect(await stream.violations(scene.client(again.url))).toEqual([])
      await again.close()
      const { code, output } = await runProgram(['verify', ...volumes.paths])
      expect(output).toContain('no damage')
      expect(code).toBe(0)
    },
    TIMEOUT_MS,
  )
})

describe('a volume is gone', () => {
  test(
    'named as lost → everything acknowledged is there; replaced → every set is whole again (P1)',
    async () => {
      const scene = sceneOfTest()
      const volumes = await Volumes.make(scene)
      const [kept = '', gone = ''] = volumes.paths
      const node = await volumes.start()
      await untilWhole(node)
      const stream = new WriteStream([scene.client(node.url)], { prefix: 'stream/' })
      await stream.untilAcknowledged(500)
      await stream.end()
      await node.close()

      rmSync(gone, { recursive: true })
      await expect(volumes.start()).rejects.toThrow(/--lost-volumes/)
      const without = await volumes.start({ lostVolumes: [gone] })
      const client = scene.client(without.url)
      expect(await stream.violations(client)).toEqual([])
      expect(without.topology().shards.map(({ inSync }) => inSync.length)).toEqual(
        Array.from({ length: SHARDS }, () => 1),
      )
      await client.set('meanwhile', 1)
      await without.close()

      mkdirSync(gone, { recursive: true })
      const replaced = await volumes.start()
      await untilWhole(replaced)
      await replaced.close()

      // What was built anew is now all there is.
      rmSync(kept, { recursive: true })
      const alone = await volumes.start({ lostVolumes: [kept] })
      const reader = scene.client(alone.url)
      expect(await stream.violations(reader)).toEqual([])
      expect(await reader.get('meanwhile')).toBe(1)
    },
    TIMEOUT_MS,
  )
})
