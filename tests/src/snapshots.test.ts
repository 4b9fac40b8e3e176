/**
 * With one copy: a stored state that is damaged is built anew from a snapshot and the log, and nothing
 * that was acknowledged is lost (P1, P4, P6, P8).
 */
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { UntypedClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { freePort } from './scene/free-port.js'
import { runProgram } from './scene/node-process.js'
import { keysOfShard } from './scene/placement.js'
import { killNow, untilGone } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const SHARDS = 4
const SHARD = 2
const KEYS = 200
const EVERY_MS = 100
const TIMEOUT_MS = 60_000
const keys = keysOfShard(SHARD, SHARDS, KEYS)
const [COUNTER = ''] = keys

interface Written {
  readonly dataDir: string
  readonly entries: unknown
  /** Of a watch that has seen some of the writes; the others come after it. */
  readonly cursor: string
  readonly after: readonly string[]
}

async function opened(
  scene: Scene,
  dataDir: string,
  { everyMs = EVERY_MS, port = 0 }: { readonly everyMs?: number; readonly port?: number } = {},
): Promise<{ node: KvNode; client: UntypedClient }> {
  const options = { dataDir, port, children: 1, shards: SHARDS, snapshots: { everyMs } }
  const node = await scene.startNode(options)
  return { node, client: scene.client({ url: node.url, timeout: 10_000 }) }
}

function copyPath(dataDir: string): string {
  return join(dataDir, 'shards', String(SHARD), '0')
}

function snapshotsIn(dataDir: string): string[] {
  const path = join(copyPath(dataDir), 'snapshots')
  if (!existsSync(path)) return []
  const names = readdirSync(path).filter((name) => name.endsWith('.snapshot'))
  return names.map((name) => join(path, name))
}

/** Writes, a snapshot, more writes, and a clean end. */
async function written(scene: Scene): Promise<Written> {
  const dataDir = await scene.directory()
  const first = await opened(scene, dataDir)
  await Promise.all(keys.map((key) => first.client.set(key, `old ${key}`)))
  await until('a snapshot has all of it', async () => {
    const [path] = snapshotsIn(dataDir)
    const revision = (await first.node.stats()).shards[SHARD]?.revision
    return path?.endsWith(`${revision}.snapshot`) === true
  })
  await first.node.close()
  // No snapshot is due for a while: what is written now is in the log and in the state only.
  const { node, client } = await opened(scene, dataDir, { everyMs: 3_600_000 })
  const after = keys.slice(0, 50)
  let cursor = ''
  const watching = (async () => {
    for await (const event of client.watch({ prefix: '' })) return event.cursor
    throw new Error('the watch has ended')
  })()
  await until('the watch is there', async () => {
    await client.set(keys[KEYS - 1] ?? '', 'seen')
    cursor = (await Promise.race([watching, Promise.resolve('')])) || ''
    return cursor !== ''
  })
  for (const key of after) await client.set(key, `new ${key}`)
  await client.delete(keys[60] ?? '')
  await until('the writes are in the stored state', async () => {
    const { revision, appliedRevision } = (await node.stats()).shards[SHARD] ?? {}
    return revision === appliedRevision
  })
  const entries = await client.getEntries(keys)
  await node.close()
  return { dataDir, entries, cursor, after }
}

function spoil(path: string, text: string | Uint8Array): void {
  writeFileSync(path, text)
}

describe('a damaged state', () => {
  test(
    'a snapshot and the log are sound → every key, version and cursor is as it was',
    async () => {
      const scene = sceneOfTest()
      const { dataDir, entries, cursor, after } = await written(scene)
      spoil(join(copyPath(dataDir), 'state', 'data.mdb'), randomBytes(100_000))
      const { node, client } = await opened(scene, dataDir)
      expect(await client.getEntries(keys)).toEqual(entries)
      const seen = new Map<string, unknown>()
      for await (const event of client.watch({ prefix: '' }, { since: cursor })) {
        if (event.type === 'reset') throw new Error('the watch was reset')
        if (event.type === 'set') seen.set(event.key, event.value)
        if (after.every((key) => seen.has(key))) break
      }
      expect(after.map((key) => seen.get(key))).toEqual(after.map((key) => `new ${key}`))
      expect(readdirSync(copyPath(dataDir))).toContain('state.damaged-1')
      expect((await client.set('another key', 'x')).ok).toBe(true)
      await node.close()
      const { code, output } = await runProgram(['verify', dataDir])
      expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('no damage') })
      expect(output).toMatch(/ entries, [1-4] snapshots/)
    },
    TIMEOUT_MS,
  )

  test(
    'a byte of the snapshot is flipped → damaged, as without one; verify names the file (P8)',
    async () => {
      const scene = sceneOfTest()
      const { dataDir } = await written(scene)
      const [snapshot = ''] = snapshotsIn(dataDir)
      const bytes = readFileSync(snapshot)
      bytes[bytes.length >> 1]! ^= 0x10
      spoil(snapshot, bytes)
      const { code, output } = await runProgram(['verify', dataDir])
      expect(code).toBe(3)
      expect(output).toContain(`shard ${SHARD}: ${snapshot}: the snapshot is damaged`)
      spoil(join(copyPath(dataDir), 'state', 'data.mdb'), randomBytes(100_000))
      const { node } = await opened(scene, dataDir)
      const { state, reason } = node.topology().shards[SHARD] ?? {}
      expect({ state, reason }).toEqual({
        state: 'damaged',
        reason: expect.stringContaining("can't be built anew from"),
      })
    },
    TIMEOUT_MS,
  )

  test(
    'found while the shard is served → it is built anew and served again',
    async () => {
      const scene = sceneOfTest()
      const { dataDir, entries } = await written(scene)
      const path = join(copyPath(dataDir), 'state', 'data.mdb')
      const bytes = readFileSync(path)
      for (const text of [`new ${COUNTER}`, `old ${COUNTER}`]) {
        for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at)) bytes[at] = 0x21
      }
      spoil(path, bytes)
      const { node, client } = await opened(scene, dataDir)
      // The read meets the damage, and is answered by what was built anew.
      expect(await client.getEntries(keys)).toEqual(entries)
      expect(node.topology().shards[SHARD]?.state).toBe('open')
      expect(readdirSync(copyPath(dataDir))).toContain('state.damaged-1')
    },
    TIMEOUT_MS,
  )

  test(
    'a write whose answer was lost is sent again after it → done once (P4)',
    async () => {
      const scene = sceneOfTest()
      const { dataDir } = await written(scene)
      const port = await freePort()
      const [key = ''] = keysOfShard(SHARD, SHARDS, KEYS + 1).slice(KEYS)
      const first = await opened(scene, dataDir, { port })
      const tap = await scene.tap(first.node.url)
      const client = scene.client({ url: tap.url, timeout: 30_000 })
      await client.get(key)
      tap.hold()
      const counted = client.increment(key)
      await until('it is in the stored state', async () => {
        const { revision, appliedRevision } = (await first.node.stats()).shards[SHARD] ?? {}
        return revision === appliedRevision && (await first.client.get(key)) === 1
      })
      await first.node.close()
      spoil(join(copyPath(dataDir), 'state', 'data.mdb'), randomBytes(100_000))
      const { client: other } = await opened(scene, dataDir, { port })
      tap.cut()
      tap.release()
      expect(await counted).toMatchObject({ value: 1 })
      expect(await other.get(key)).toBe(1)
      expect(readdirSync(copyPath(dataDir))).toContain('state.damaged-1')
    },
    TIMEOUT_MS,
  )

  test(
    'after kill -9, the newest frames in a journal only → all of it is there (P1)',
    async () => {
      const scene = sceneOfTest()
      const environment = { KV_SNAPSHOTS_EVERY: String(EVERY_MS) }
      const first = await scene.serve({ children: 1, shards: SHARDS, environment })
      const { directory } = first
      const client = scene.client({ url: first.url, timeout: 10_000 })
      await Promise.all(keys.map((key) => client.set(key, 'old')))
      await until('there is a snapshot', () => snapshotsIn(directory).length > 0)
      for (const key of keys.slice(0, 50)) await client.set(key, 'new')
      const entries = await client.getEntries(keys)
      const children = first.childPids()
      await first.kill()
      for (const pid of children) killNow(pid)
      await untilGone(children)
      spoil(join(copyPath(directory), 'state', 'data.mdb'), randomBytes(100_000))
      const again = await scene.serve({ directory, environment })
      expect(await scene.client({ url: again.url }).getEntries(keys)).toEqual(entries)
      expect(readdirSync(copyPath(directory))).toContain('state.damaged-1')
    },
    TIMEOUT_MS,
  )
})
