/**
 * A write takes effect once, however often it was sent, and one client's writes to one shard in the
 * order of the calls (P4): while connections are cut and children killed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { describe, expect, test } from 'vitest'
import { SeededRandom } from './load/seeded-random.js'
import type { MessageTap } from './scene/message-tap.js'
import { isBalanced, keysOfShard, pidOf, shardsOfChild, untilBalanced } from './scene/placement.js'
import { killNow } from './scene/process-table.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const CLIENTS = 16
const INCREMENTS = 10_000
const IN_FLIGHT = 64
const COUNTERS = ['storm/a', 'storm/b', 'storm/c', 'storm/d']
const CHILDREN = 3
const STORM_TIMEOUT_MS = 180_000
const CALL_TIMEOUT_MS = 120_000

describe('P4: a storm', () => {
  test(
    `${CLIENTS} clients count to ${INCREMENTS} each; lines are cut and children killed → exact, every value once`,
    async () => {
      const random = SeededRandom.fromEnvironment()
      const scene = sceneOfTest()
      const node = await scene.startNode({ children: CHILDREN })
      const tap = await scene.tap(node.url)
      const clients = Array.from({ length: CLIENTS }, () =>
        scene.client({ url: tap.url, timeout: CALL_TIMEOUT_MS }),
      )
      const returned = new Map(COUNTERS.map((name) => [name, new Set<number>()]))
      const storm = new Storm(node, tap, random)
      await Promise.all(clients.map((client) => count(client, returned)))
      const { cuts, kills } = await storm.end()

      const values = await scene.client(node.url).getMany(COUNTERS)
      const told = `seed ${random.seed}: ${cuts} cuts, ${kills} kills`
      // As many different values as the counter says: each was given once.
      const distinct = COUNTERS.map((name) => returned.get(name)?.size)
      expect({ told, values }).toEqual({ told, values: distinct })
      const sum = (values as number[]).reduce((total, value) => total + value)
      expect({ told, sum }).toEqual({ told, sum: CLIENTS * INCREMENTS })
      expect(cuts).toBeGreaterThan(2)
      expect(kills).toBeGreaterThan(0)
    },
    STORM_TIMEOUT_MS,
  )
})

/** Counts in as many lanes as calls may be under way. */
async function count(
  client: UntypedClient,
  returned: ReadonlyMap<string, Set<number>>,
): Promise<void> {
  let left = INCREMENTS
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      const name = COUNTERS[left % COUNTERS.length] as string
      returned.get(name)?.add((await client.increment(name)).value)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
}

/** Cuts lines and kills children at random until it is ended. */
class Storm {
  private cuts = 0
  private kills = 0
  private isEnding = false
  private readonly lanes: Promise<unknown>
  private readonly random: SeededRandom

  constructor(node: KvNode, tap: MessageTap, random: SeededRandom) {
    this.random = random
    this.lanes = Promise.all([this.cut(tap), this.kill(node)])
  }

  private async cut(tap: MessageTap): Promise<void> {
    while (!this.isEnding) {
      await delay(100 + this.random.below(400))
      if (this.random.below(4) === 0) tap.cut()
      else tap.cutOne(this.random.next())
      tap.takeMessages()
      this.cuts += 1
    }
  }

  private async kill(node: KvNode): Promise<void> {
    while (!this.isEnding) {
      await delay(200 + this.random.below(800))
      const child = 1 + this.random.below(CHILDREN)
      const pid = pidOf(node, child)
      if (pid === 0) continue
      killNow(pid)
      this.kills += 1
      await until('the child is replaced', () => pidOf(node, child) !== pid && isBalanced(node))
    }
  }

  async end(): Promise<{ cuts: number; kills: number }> {
    this.isEnding = true
    await this.lanes
    return { cuts: this.cuts, kills: this.kills }
  }
}

describe('P4: schedules', () => {
  test('set 1 and set 2 of a key, not awaited, over the death of its child → ends as 2', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2 })
    const client = scene.client({ url: node.url, timeout: CALL_TIMEOUT_MS })
    const keys = Array.from({ length: 16 }, (_, shard) => keysOfShard(shard, 16, 1)[0] as string)
    for (const child of [1, 2]) {
      const pid = pidOf(node, child)
      const writes: Promise<unknown>[] = []
      const write = (value: number): void => {
        for (const key of keys) writes.push(client.set(key, value))
      }
      write(1)
      // In another turn, and so in another batch; the child dies with some of them.
      await delay(1)
      write(2)
      killNow(pid)
      await delay(0)
      write(3)
      write(4)
      await Promise.all(writes)
      expect(await client.getMany(keys)).toEqual(keys.map(() => 4))
      await untilBalanced(node)
    }
  })

  test('one stuck shard while others go on, then a lost line → each counted once', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 2, pingTimeoutMs: 60_000 })
    const tap = await scene.tap(node.url)
    const client = scene.client({ url: tap.url, direct: false, timeout: CALL_TIMEOUT_MS })
    const [stuck = ''] = keysOfShard(shardsOfChild(node, 1)[0] ?? 0, 16, 1)
    const [going = ''] = keysOfShard(shardsOfChild(node, 2)[0] ?? 0, 16, 1)
    await client.increment(stuck)
    const pid = pidOf(node, 1)
    process.kill(pid, 'SIGSTOP')
    const waiting = [client.increment(stuck), client.increment(stuck)]
    for (let round = 1; round <= 20; round += 1) {
      const counted = await Promise.all(Array.from({ length: 50 }, () => client.increment(going)))
      expect(counted.map(({ value }) => value)).toEqual(
        counted.map((_, at) => at + 50 * round - 49),
      )
    }
    tap.hold()
    const unheard = client.increment(going)
    await until('it is answered', () => tap.heldCount > 0)
    tap.cut()
    tap.release()
    killNow(pid)
    expect((await unheard).value).toBe(1_001)
    expect((await Promise.all(waiting)).map(({ value }) => value)).toEqual([2, 3])
    expect(await client.getMany([stuck, going])).toEqual([3, 1_001])
  })

  test('a restarted node knows its clients: what was under way is counted once', async () => {
    const scene = sceneOfTest()
    const first = await scene.serve({ children: 2 })
    const tap = await scene.tap(first.url)
    const client = scene.client({ url: tap.url, direct: false, timeout: CALL_TIMEOUT_MS })
    await client.increment('n')
    tap.hold()
    const unheard = Array.from({ length: 20 }, () => client.increment('n'))
    await until('they are answered', () => tap.heldCount > 0)
    await first.kill()
    tap.release()
    const port = Number(new URL(first.url).port)
    await scene.serve({ directory: first.directory, port, children: 2 })
    const values = (await Promise.all(unheard)).map(({ value }) => value)
    expect(values).toEqual(Array.from({ length: 20 }, (_, index) => index + 2))
    expect(await client.get('n')).toBe(21)
  })
})
