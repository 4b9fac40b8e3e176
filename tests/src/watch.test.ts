/**
 * Watches through real processes (P6): every change once, in order, or `reset`.
 */
import type { UntypedClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { WatchLog } from './load/watch-log.js'
import { WatchedWrites } from './load/watched-writes.js'
import { isBalanced, keysOfShard, pidOf } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const TIMEOUT_MS = 60_000
const EACH_ONCE = { violations: [], ready: 1, reset: 0 }

describe('watch', () => {
  test('a key, a list over shards, a prefix, everything → what each is about (P6)', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 3 })
    const client = scene.client(node.url)
    const keys = [0, 5, 11].map((shard) => keysOfShard(shard, 16, 1)[0] ?? '')
    const [first = ''] = keys
    const logs = [first, keys, { prefix: 'user:' }, { prefix: '' }].map(
      (what) => new WatchLog(client, what),
    )
    await Promise.all(logs.map((log) => log.untilReady()))
    for (const key of [...keys, 'user:1', 'other']) await client.set(key, 1)
    await client.delete(first)
    await client.set('user:end', 1)
    await logs[3]?.untilSeen('user:end', 1)
    await logs[2]?.untilSeen('user:end', 1)
    await until('the deletion was seen', () =>
      logs.slice(0, 2).every((log) => log.changes.includes(`delete ${first}`)),
    )
    expect(logs[0]?.changes).toEqual([`set ${first} 1`, `delete ${first}`])
    expect(logs[1]?.changes.toSorted()).toEqual(
      [...keys.map((key) => `set ${key} 1`), `delete ${first}`].toSorted(),
    )
    expect(logs[2]?.changes.toSorted()).toEqual(['set user:1 1', 'set user:end 1'])
    await until('all was seen', () => logs[3]?.changes.length === 7)
    for (const log of logs) {
      expect(log.countOf('ready')).toBe(1)
      await log.stop()
    }
  })

  test('initial → what is there, ready, then what changes; an expiry too (P6)', async () => {
    const scene = sceneOfTest()
    const client = scene.client((await scene.startNode()).url)
    await client.setMany(Array.from({ length: 500 }, (_, index) => [`old:${index}`, index]))
    const log = new WatchLog(client, { prefix: 'old:' }, { initial: true })
    await log.untilReady()
    expect(log.seen.findIndex(({ type }) => type === 'ready')).toBe(500)
    await client.set('old:new', 'x', { ttl: 200 })
    await until('it has ended', () => log.countOf('expire') === 1)
    expect(log.changes.slice(-2)).toEqual(['set old:new x', 'expire old:new'])
    await log.stop()
  })

  test('break, an abort, and the end of the client → let go, with the reason', async () => {
    const scene = sceneOfTest()
    const client = scene.client((await scene.startNode()).url)
    for await (const event of client.watch('key')) {
      expect(event.type).toBe('ready')
      break
    }
    const aborted = new WatchLog(client, 'key')
    await aborted.untilReady()
    await aborted.stop()
    expect(aborted.failure).toMatchObject({ message: 'the test has seen enough' })
    const closed = new WatchLog(client, 'key')
    await closed.untilReady()
    await client.close()
    await until('it has ended', () => closed.failure !== undefined)
    expect(closed.failure).toMatchObject({ code: 'CLOSED' })
  })

  test(
    '10,000 watchers of one client → one sees what it is about',
    async () => {
      const scene = sceneOfTest()
      const client = scene.client((await scene.startNode()).url)
      const logs = Array.from(
        { length: 10_000 },
        (_, index) => new WatchLog(client, `key:${index}`),
      )
      await until('all are ready', () => logs.every((log) => log.countOf('ready') === 1), 30_000)
      await client.set('key:7777', 'x')
      await logs[7_777]?.untilSeen('key:7777', 'x')
      expect(logs.filter((log) => log.seen.length > 1).length).toBe(1)
      await Promise.all(logs.map((log) => log.stop()))
    },
    TIMEOUT_MS,
  )
})

describe('watch: cursors', () => {
  test('since, in another client → everything after it, once (P6)', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode()
    const client = scene.client(node.url)
    const log = new WatchLog(client, { prefix: '' })
    await log.untilReady()
    for (let index = 0; index < 50; index += 1) await client.set(`k${index}`, 'before')
    await until('all were seen', () => log.changes.length === 50)
    const { cursor } = log
    await log.stop()
    for (let index = 0; index < 50; index += 1) await client.set(`k${index}`, 'after')
    const again = new WatchLog(scene.client(node.url), { prefix: '' }, { since: cursor })
    await until('all were seen', () => again.changes.length === 50)
    await again.untilReady()
    expect(again.changes.toSorted()).toEqual(
      Array.from({ length: 50 }, (_, index) => `set k${index} after`).toSorted(),
    )
    await again.stop()
  })

  test('one that is none, or of another watch → INVALID_CURSOR', async () => {
    const scene = sceneOfTest()
    const client = scene.client((await scene.startNode()).url)
    const log = new WatchLog(client, 'a')
    await log.untilReady()
    for (const [what, since] of [
      ['a', 'nonsense'],
      ['b', log.cursor],
    ] as const) {
      const failed = new WatchLog(client, what, { since })
      await until('it has failed', () => failed.failure !== undefined)
      expect(failed.failure).toMatchObject({ code: 'INVALID_CURSOR', outcome: 'not-applied' })
    }
    await log.stop()
  })

  test(
    'the log has let go of what comes after it → reset, all there is, ready (P6)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.startNode({ shards: 1, limits: { historyBytesMax: 0 } })
      const client = scene.client(node.url)
      const log = new WatchLog(client, { prefix: '' })
      await log.untilReady()
      const { cursor } = log
      await log.stop()
      await client.set('other', 'kept')
      for (let round = 0; round < 20; round += 1) await client.set('key', 'x'.repeat(100_000))
      const first = async (): Promise<string> => {
        for await (const event of client.watch({ prefix: '' }, { since: cursor })) return event.type
        return ''
      }
      await until(
        'the history is gone',
        async () => {
          await client.set('key', 'x'.repeat(100_000))
          return (await first()) === 'reset'
        },
        30_000,
      )
      const again = new WatchLog(client, { prefix: '' }, { since: cursor })
      await again.untilReady()
      expect(again.seen.map(({ type, key, reason }) => `${type} ${key || reason || ''}`)).toEqual([
        'reset trimmed',
        'set key',
        'set other',
        'ready ',
      ])
      await again.stop()
    },
    TIMEOUT_MS,
  )

  test('of another cluster → reset', async () => {
    const scene = sceneOfTest()
    const [one, two] = [await scene.startNode(), await scene.startNode()]
    const log = new WatchLog(scene.client(one.url), { prefix: '' })
    await log.untilReady()
    const client = scene.client(two.url)
    await client.set('here', 1)
    const again = new WatchLog(client, { prefix: '' }, { since: log.cursor })
    await again.untilReady()
    expect(again.seen[0]).toMatchObject({ type: 'reset', reason: 'other-cluster' })
    expect(again.changes).toEqual(['set here 1'])
    await Promise.all([log.stop(), again.stop()])
  })
})

describe('watch: in mid-stream', () => {
  async function finish(log: WatchLog, writes: WatchedWrites, prefix: string): Promise<object> {
    await writes.end()
    await log.untilSeen(`${prefix}end`, 'end')
    await until('everything acknowledged was seen', () => writes.missingIn(log).length === 0)
    await log.stop()
    const [ready, reset] = [log.countOf('ready'), log.countOf('reset')]
    return { violations: log.violations(), ready, reset }
  }

  async function start(
    client: UntypedClient,
    watcher: UntypedClient,
  ): Promise<{ log: WatchLog; writes: WatchedWrites }> {
    const log = new WatchLog(watcher, { prefix: 'w:' })
    await log.untilReady()
    const writes = new WatchedWrites(client, 'w:')
    await writes.untilAcknowledged(300)
    return { log, writes }
  }

  test(
    'the connection is cut, again and again → each change once (P6)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.startNode()
      const tap = await scene.tap(node.url)
      const { log, writes } = await start(
        scene.client(node.url),
        scene.client({ url: tap.url, direct: false }),
      )
      for (let cut = 0; cut < 8; cut += 1) {
        tap.cut()
        await writes.untilAcknowledged(100)
        const { length } = log.changes
        await until('the watch goes on', () => log.changes.length > length)
      }
      expect(await finish(log, writes, 'w:')).toEqual(EACH_ONCE)
    },
    TIMEOUT_MS,
  )

  test(
    'kill -9 of each child in turn → each change once (P6)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.startNode({ children: 3 })
      const { log, writes } = await start(scene.client(node.url), scene.client(node.url))
      for (const { id } of node.topology().children) {
        await replace(node, id)
        await writes.untilAcknowledged(300)
      }
      expect(await finish(log, writes, 'w:')).toEqual(EACH_ONCE)
    },
    TIMEOUT_MS,
  )

  test(
    'kill -9 of the coordinator, another one at the same port → each change once (P6)',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.serve({ children: 2 })
      const { log, writes } = await start(scene.client(node.url), scene.client(node.url))
      await node.kill()
      const { directory } = node
      await scene.serve({ directory, children: 2, port: Number(new URL(node.url).port) })
      await writes.untilAcknowledged(300)
      expect(await finish(log, writes, 'w:')).toEqual(EACH_ONCE)
    },
    TIMEOUT_MS,
  )
})

async function replace(node: KvNode, child: number): Promise<void> {
  const pid = pidOf(node, child)
  killNow(pid)
  await until(`child ${child} is replaced and the balance is back`, () => {
    return pidOf(node, child) !== pid && isBalanced(node)
  })
}
