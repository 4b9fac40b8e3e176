/**
 * What crashes and bad disks leave in the files: a torn tail is cut, anything else stops that shard
 * and is never served (P8).
 */
import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { UntypedClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { failureOf } from './behaviour/rejection.js'
import { LogFile } from './scene/log-files.js'
import { keysOfShard } from './scene/placement.js'
import { killNow, untilGone } from './scene/process-table.js'
import { readinessOf } from './scene/readiness.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const SHARDS = 4
const SHARD = 2
const [FIRST = '', SECOND = '', THIRD = ''] = keysOfShard(SHARD, SHARDS, 3)
const [ELSEWHERE = '', BUSY = ''] = keysOfShard(1, SHARDS, 2)

describe('a torn tail', () => {
  test('garbage behind the last acknowledged frame → cut, everything acknowledged is there (P1, P8)', async () => {
    const scene = sceneOfTest()
    const directory = await crashed(scene)
    const log = LogFile.newestOf(directory, SHARD)
    log.fill(log.end, randomBytes(700))
    const { node, client } = await opened(scene, directory)
    expect(await client.getMany([FIRST, SECOND, THIRD, ELSEWHERE])).toEqual([1, 2, 3, 'there'])
    expect((await client.set(FIRST, 'writes go on')).ok).toBe(true)
    expect(node.topology().shards[SHARD]?.state).toBe('open')
  })

  test('the beginning of one more frame → cut, everything acknowledged is there (P1, P8)', async () => {
    const scene = sceneOfTest()
    const directory = await crashed(scene)
    const log = LogFile.newestOf(directory, SHARD)
    log.fill(log.end, log.part(log.start, log.start + 40))
    const { client } = await opened(scene, directory)
    expect(await client.getMany([FIRST, SECOND, THIRD, ELSEWHERE])).toEqual([1, 2, 3, 'there'])
  })

  test('the last block of a journal half written → cut; the blocks before it are there (P1, P8)', async () => {
    const scene = sceneOfTest()
    const directory = await crashed(scene)
    const journal = LogFile.journalWith(directory, record(FIRST))
    journal.fill(journal.end - 20, new Uint8Array(20))
    const { client } = await opened(scene, directory)
    expect(await client.getMany([FIRST, SECOND, ELSEWHERE])).toEqual([1, 2, 'there'])
    // Its frame may be in the block that was torn here.
    expect(await client.get(THIRD)).toBeOneOf([3, undefined])
    const { version } = await client.set(THIRD, 'again')
    expect(await client.getEntry(THIRD)).toEqual({ key: THIRD, value: 'again', version })
  })
})

describe('damage', () => {
  test('one bit of an early frame → that shard is reported with file and offset and not served, others are (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await crashed(scene)
    const journal = LogFile.journalWith(directory, record(FIRST))
    journal.flip(journal.find(record(FIRST)))
    const { node, client } = await opened(scene, directory)
    expect(await seenOf(node, client)).toEqual(REPORTED_AND_NOT_SERVED)
    expect(reasonOf(node)).toContain(LogFile.newestOf(directory, SHARD).path)
    expect(reasonOf(node)).toMatch(/at byte \d+/)
  })

  test('a journal is gone after an unclean end → its shards are damaged, not silently older (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await crashed(scene)
    rmSync(LogFile.journalWith(directory, record(FIRST)).path)
    const node = await scene.startNode({ dataDir: directory, children: 1, shards: SHARDS })
    const states = node.topology().shards.map(({ state }) => state)
    expect(states).toEqual(states.map(() => 'damaged'))
    expect(reasonOf(node)).toContain('missing-journal')
  })

  test('one bit of a segment header → that shard alone is not served (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await crashed(scene)
    const log = LogFile.newestOf(directory, SHARD)
    log.flip(20)
    const { node, client } = await opened(scene, directory)
    expect(await seenOf(node, client)).toEqual(REPORTED_AND_NOT_SERVED)
    expect(reasonOf(node)).toContain(log.path)
  })

  test('after a clean end not even the last frame may be torn (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await closed(scene)
    const log = LogFile.newestOf(directory, SHARD)
    log.fill(log.end - 3, new Uint8Array(3))
    const { node, client } = await opened(scene, directory)
    expect(await seenOf(node, client)).toEqual(REPORTED_AND_NOT_SERVED)
    expect(reasonOf(node)).toContain(log.path)
  })

  test('the directory of a shard is gone → damage, never a new, empty shard (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await closed(scene)
    rmSync(join(directory, 'shards', String(SHARD)), { recursive: true })
    const { node, client } = await opened(scene, directory)
    expect(await seenOf(node, client)).toEqual(REPORTED_AND_NOT_SERVED)
    expect(reasonOf(node)).toContain(join('shards', String(SHARD)))
  })

  test('a segment is gone → damage (P8)', async () => {
    const scene = sceneOfTest()
    const directory = await closed(scene)
    rmSync(LogFile.newestOf(directory, SHARD).path)
    const { node, client } = await opened(scene, directory)
    expect(await seenOf(node, client)).toEqual(REPORTED_AND_NOT_SERVED)
    expect(reasonOf(node)).toContain(join('shards', String(SHARD)))
  })

  test('one bit of a stored value → an error, never the wrong value; other keys are read (P8)', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const { node, client } = await opened(scene, dataDir)
    const marker = randomBytes(32).toString('hex')
    await client.set(FIRST, marker)
    await client.set(ELSEWHERE, 'there')
    await until('the writes are in the stored state', async () => {
      const { keys, revision, appliedRevision } = (await node.stats()).shards[SHARD] ?? {}
      return keys === 1 && revision === appliedRevision
    })
    await node.close()
    flipEverywhere(join(dataDir, 'shards', String(SHARD), '0', 'state'), marker)
    const again = await opened(scene, dataDir)
    const failure = await failureOf(() => again.client.get(FIRST, { timeout: 500 }))
    expect(failure).toMatch(/^(UNAVAILABLE|TIMEOUT) not-applied$/)
    expect(await again.client.get(ELSEWHERE)).toBe('there')
    await until('the damage is reported', () => {
      return again.node.topology().shards[SHARD]?.state === 'damaged'
    })
  })
})

/** A key as it stands in a record: others may begin with the same text. */
function record(key: string): string {
  return `${String.fromCodePoint(0xa0 + key.length)}${key}`
}

/** A directory with writes of several frames, of which each was acknowledged, after a crash. */
async function crashed(scene: Scene): Promise<string> {
  const node = await scene.serve({ children: 1, shards: SHARDS })
  const client = scene.client({ url: node.url, timeout: 1_000 })
  await write(client)
  // A child that is busy stores nothing: what was written is in the log alone when it dies.
  let isOver = false
  const busy = (async () => {
    while (!isOver) await client.set(BUSY, 1)
  })().catch(() => undefined)
  const children = node.childPids()
  killNow(node.pid)
  for (const pid of children) killNow(pid)
  await untilGone([node.pid, ...children])
  isOver = true
  await Promise.all([client.close(), busy])
  return node.directory
}

/** The same after a clean end. */
async function closed(scene: Scene): Promise<string> {
  const dataDir = await scene.directory()
  const { node, client } = await opened(scene, dataDir)
  await write(client)
  await node.close()
  return dataDir
}

async function write(client: UntypedClient): Promise<void> {
  await client.set(ELSEWHERE, 'there')
  await client.set(FIRST, 1)
  await client.set(SECOND, 2)
  await client.set(THIRD, 3)
}

async function opened(
  scene: Scene,
  dataDir: string,
): Promise<{ node: KvNode; client: UntypedClient }> {
  const node = await scene.startNode({ dataDir, children: 1, shards: SHARDS })
  return { node, client: scene.client({ url: node.url, timeout: 5_000 }) }
}

/** What operators and clients see of a node whose one shard is damaged. */
async function seenOf(node: KvNode, client: UntypedClient): Promise<object> {
  const { state, primary, reason = '' } = node.topology().shards[SHARD] ?? {}
  const { status, ready, missing } = await readinessOf(node.url)
  const stats = (await node.stats()).shards[SHARD]
  const soon = { timeout: 300 }
  return {
    topology: { state, primary },
    readiness: { status, ready, missing: missing.map(({ shard }) => shard) },
    isReasonSaid: [missing[0]?.reason, stats?.reason].map((said) => said?.includes(reason)),
    read: await failureOf(() => client.get(FIRST, soon)),
    written: await failureOf(() => client.set(FIRST, 'new', soon)),
    counted: await failureOf(() => client.count(soon)),
    elsewhere: await client.get(ELSEWHERE),
    changedElsewhere: (await client.set(ELSEWHERE, 'changed')).ok,
  }
}

/** Every word of it: reported where operators look, refused to clients, and nothing else harmed. */
const REPORTED_AND_NOT_SERVED = {
  topology: { state: 'damaged', primary: 0 },
  readiness: { status: 503, ready: false, missing: [SHARD] },
  isReasonSaid: [true, true],
  read: expect.stringMatching(/^(UNAVAILABLE|TIMEOUT) not-applied$/),
  written: expect.stringMatching(/^(UNAVAILABLE|TIMEOUT) not-applied$/),
  counted: expect.stringMatching(/^(UNAVAILABLE|TIMEOUT) not-applied$/),
  elsewhere: 'there',
  changedElsewhere: true,
} as const

function reasonOf(node: KvNode): string {
  return node.topology().shards[SHARD]?.reason ?? ''
}

/** LMDB copies pages: the text may be in its file more than once. */
function flipEverywhere(directory: string, text: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    const bytes = readFileSync(path)
    let found = bytes.indexOf(text)
    if (found < 0) continue
    for (; found >= 0; found = bytes.indexOf(text, found)) bytes[found] = 0x21
    writeFileSync(path, bytes)
  }
}
