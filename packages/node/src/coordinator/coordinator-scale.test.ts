/** What a coordinator makes of another number of children; the children are played. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CoordinatorSettings } from './coordinator.js'
import { Coordinator } from './coordinator.js'
import type { Move } from './failover-watch.js'
import type { NodeTopology } from './operator-topology.js'
import { PLAIN_SETTINGS } from './testing/plain-settings.js'
import { PlayedChild } from './testing/played-child.js'

const SHARDS = 16

let dataDir: string
let children: PlayedChild[]
let exits: number[]
let moves: Move[]
let running: Coordinator | undefined
/** Called with each child that is forked. */
let onFork: (child: PlayedChild) => void

async function start(changes: Partial<CoordinatorSettings> = {}): Promise<Coordinator> {
  children = []
  exits = []
  moves = []
  running = await Coordinator.start(
    {
      ...PLAIN_SETTINGS,
      volumes: [dataDir],
      children: 2,
      newShards: SHARDS,
      fork: (listener) => {
        const child = new PlayedChild(listener)
        children.push(child)
        onFork(child)
        return child
      },
      ...changes,
    },
    {
      onTopology: () => {},
      onChildExit: ({ child }) => exits.push(child),
      onFailover: () => {},
      onMove: (move) => moves.push(move),
    },
  )
  return running
}

async function restart(changes: Partial<CoordinatorSettings> = {}): Promise<Coordinator> {
  await running?.close()
  return start(changes)
}

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'kv-scale-'))
  onFork = () => {}
})

afterEach(async () => {
  await running?.close()
  running = undefined
  await rm(dataDir, { recursive: true })
})

/** Shards per child that serves some, fewest first. */
function loads({ shards }: NodeTopology): number[] {
  const counts = new Map<number, number>()
  for (const { primary } of shards) counts.set(primary, (counts.get(primary) ?? 0) + 1)
  return [...counts.values()].toSorted((left, right) => left - right)
}

describe('coordinator: scale', () => {
  test('more children → forked, each with its share when the promise resolves', async () => {
    const node = await start()
    await node.scale(5)
    const topology = node.topology()
    expect(topology.children.map(({ id, state }) => [id, state])).toEqual(
      [1, 2, 3, 4, 5].map((id) => [id, 'ready']),
    )
    expect(loads(topology)).toEqual([3, 3, 3, 3, 4])
    expect(exits).toEqual([])
  })

  test('fewer → the others are emptied, then end by themselves', async () => {
    const node = await start({ children: 5 })
    await node.scale(2)
    const topology = node.topology()
    expect(topology.children.map(({ id }) => id)).toEqual([1, 2])
    expect(loads(topology)).toEqual([8, 8])
    expect(exits.toSorted((one, other) => one - other)).toEqual([3, 4, 5])
  })

  test('copies → each of a shard in another child, primaries and copies within one of even', async () => {
    const node = await start({ children: 3, replicationFactor: 2 })
    await node.scale(5)
    const { shards } = node.topology()
    expect(loads(node.topology())).toEqual([3, 3, 3, 3, 4])
    const hosts = shards.flatMap(({ copies }) => copies.map(({ child }) => child))
    const held = [1, 2, 3, 4, 5].map((id) => hosts.filter((child) => child === id).length)
    expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1)
    expect(shards.every(({ copies: [one, two] }) => one?.child !== two?.child)).toBe(true)
  })

  test('as many as there are → nothing happens', async () => {
    const node = await start()
    const { version } = node.topology()
    await node.scale(2)
    expect(node.topology().version).toBe(version)
  })

  const wrong: [string, unknown][] = [
    ['none', 0],
    ['fewer than copies', 1],
    ['more than shards', SHARDS + 1],
    ['a part', 2.5],
    ['a text', '3'],
  ]
  test.each(wrong)('%s → TypeError, nothing done', async (_, children) => {
    const node = await start({ replicationFactor: 2 })
    const { version } = node.topology()
    await expect(node.scale(children as number)).rejects.toThrow(
      new TypeError(
        `children is a whole number from 2 to 16 (2 copies of each of 16 shards), not ${String(children)}`,
      ),
    )
    expect(node.topology().version).toBe(version)
  })

  test('another number meanwhile → that one counts; the former call learns of it', async () => {
    const node = await start()
    const former = node.scale(5)
    const latter = node.scale(3)
    const same = node.scale(3)
    await expect(former).rejects.toMatchObject({
      code: 'CONFLICT',
      message: 'the node is scaled to 3 children instead',
    })
    await Promise.all([latter, same])
    expect(loads(node.topology())).toEqual([5, 5, 6])
    expect(node.topology().children.map(({ id }) => id)).toEqual([1, 2, 3])
  })

  test('a leaving child dies before it has let go → what it had is opened elsewhere', async () => {
    const node = await start({ children: 3 })
    const leaving = children[2]!
    leaving.isClinging = true
    const scaled = node.scale(2)
    await node.stats()
    leaving.ends(1)
    await scaled
    expect(loads(node.topology())).toEqual([8, 8])
    expect(children).toHaveLength(3)
  })

  test('new children end again and again → UNAVAILABLE; it goes on trying', async () => {
    const node = await start()
    onFork = (child) => child.ends(1)
    await expect(node.scale(3)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('child 3 ended 5 times in a row') as string,
    })
    onFork = () => {}
    await node.scale(2)
    expect(loads(node.topology())).toEqual([8, 8])
  })

  test('the node is closed → CLOSED, before and after', async () => {
    const node = await start()
    children[0]!.isClinging = true
    children[1]!.isClinging = true
    const scaled = node.scale(3)
    await Promise.all([
      expect(scaled).rejects.toMatchObject({ code: 'CLOSED', outcome: 'unknown' }),
      node.close(),
    ])
    await expect(node.scale(3)).rejects.toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
  })
})

describe('coordinator: children at a restart', () => {
  test('it was scaled → as many as it was scaled to, though it had not come there', async () => {
    const node = await start()
    children[0]!.isClinging = true
    children[1]!.isClinging = true
    await new Promise<void>((resolve) => {
      node.scale(5, resolve).catch(() => {})
    })
    const again = await restart()
    expect(again.topology().children).toHaveLength(5)
    expect(loads(again.topology())).toEqual([3, 3, 3, 3, 4])
    expect((await restart()).topology().children).toHaveLength(5)
  })

  test('another number than the one it was scaled from → that one, from then on', async () => {
    await (await start()).scale(5)
    expect((await restart({ children: 3 })).topology().children).toHaveLength(3)
    expect((await restart()).topology().children).toHaveLength(2)
  })

  test('it was never told how many → the usual number, or what it was scaled to', async () => {
    await start({ children: undefined, usualChildren: 3 })
    const node = await restart({ children: undefined, usualChildren: 4 })
    expect(node.topology().children).toHaveLength(4)
    await node.scale(2)
    expect((await restart({ children: undefined })).topology().children).toHaveLength(2)
  })
})

describe('coordinator: POST /scale', () => {
  async function post(
    path: string,
    init: { method?: string; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; body: unknown }> {
    const url = `http://127.0.0.1:${running!.port}${path}`
    const response = await fetch(url, { method: 'POST', ...init })
    return { status: response.status, body: await response.json() }
  }

  test('a number → 202; the stats say how far it has come', async () => {
    const node = await start()
    expect(await post('/scale?children=3')).toEqual({ status: 202, body: { children: 3 } })
    await node.scale(3)
    expect((await node.stats()).scaling).toEqual({
      children: 3,
      shardsToMove: 0,
      isSettled: true,
    })
  })

  test.each(['/scale', '/scale?children=', '/scale?children=99', '/scale?children=3&x=1'])(
    '%s → 400, and what is possible',
    async (path) => {
      await start()
      const { status, body } = await post(path)
      expect(status).toBe(400)
      expect(body).toMatchObject({
        error: expect.stringContaining('children is a whole number from 1 to 16') as string,
      })
      expect(running!.topology().children).toHaveLength(2)
    },
  )

  test('a page, whatever it is, another method, no token → turned away', async () => {
    await start({ token: 'secret', origins: ['https://app.example'] })
    const authorization = 'Bearer secret'
    const answers = await Promise.all([
      post('/scale?children=3', { headers: { authorization, origin: 'https://app.example' } }),
      post('/scale?children=3', { headers: { authorization, origin: 'http://localhost:3000' } }),
      post('/scale?children=3', { method: 'GET', headers: { authorization } }),
      post('/scale?children=3'),
      post('/scale?children=3', { headers: { authorization: 'Bearer other' } }),
      post('/scale?children=3', { headers: { authorization } }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 405, 401, 401, 202])
  })

  test('a move → said once, from whom to whom', async () => {
    const node = await start()
    await node.scale(3)
    await node.stats()
    expect(moves).toHaveLength(5)
    expect(new Set(moves.map(({ to }) => to))).toEqual(new Set([3]))
    expect(new Set(moves.map(({ shard }) => shard)).size).toBe(5)
  })
})
