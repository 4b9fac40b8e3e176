/**
 * Many contenders for one lock, in processes that are killed while they hold it or wait for it.
 */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { UntypedClient } from '@kv/client'
import { describe, expect, test } from 'vitest'
import { failureOf } from './behaviour/rejection.js'
import { SeededRandom } from './load/seeded-random.js'
import { killNow } from './scene/process-table.js'
import type { Scene } from './scene/scene.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const PROGRAM = fileURLToPath(new URL('../fixtures/lock-contender.mjs', import.meta.url))
const PROCESSES = 8
const CONTENDERS_EACH = 4
const TIMES = 3
const KILLS = 3
const LOCK = '{storm}lock'
const TIMEOUT_MS = 60_000

interface Logged {
  readonly contender: string
  readonly token: number
}

describe('lock storm', () => {
  test(
    '32 contenders, holders killed at random → one at a time by token, fair, none forgotten',
    async () => {
      const scene = sceneOfTest()
      const node = await scene.startNode({ children: 2 })
      const client = scene.client({ url: node.url, timeout: 20_000 })
      const barrier = await client.lock(LOCK, { ttl: 30_000 })
      const processes = Array.from({ length: PROCESSES }, (_, index) =>
        Contenders.start(scene, node.url, `p${index}`),
      )
      await until('all of them ask', () =>
        processes.every(({ asking }) => asking >= CONTENDERS_EACH),
      )
      await barrier.release()

      const random = SeededRandom.fromEnvironment()
      for (let kill = 0; kill < KILLS; kill += 1) {
        const heard = held(processes)
        const more = 5 + random.below(10)
        await until('they took turns', () => held(processes) >= heard + more)
        // Whoever had it last, or anybody, with all contenders of its process.
        const alive = processes.filter(({ isKilled }) => !isKilled)
        const newest = Math.max(...alive.map(({ lastToken }) => lastToken))
        const holder = alive.filter(({ lastToken }) => lastToken === newest)
        random.pick(random.below(2) === 0 ? alive : holder).kill()
      }
      const survivors = processes.filter(({ isKilled }) => !isKilled)
      await until(
        `all that live got it ${TIMES} times (seed ${random.seed})`,
        () => survivors.every((each) => each.hasEnded),
        TIMEOUT_MS,
      )
      expect(survivors.map((each) => each.problems)).toEqual(survivors.map(() => []))

      const log = await logOf(client)
      const tokens = log.map(({ token }) => token)
      expect(tokens).toEqual(tokens.toSorted((left, right) => left - right))
      expect(new Set(tokens).size).toBe(tokens.length)
      expect(await client.get('{storm}counter')).toBe(log.length)
      for (const { contenders } of survivors) {
        for (const contender of contenders) {
          expect(log.filter((each) => each.contender === contender)).toHaveLength(TIMES)
        }
      }
      expect(
        passedOver(
          log,
          survivors.flatMap(({ contenders }) => contenders),
        ),
      ).toEqual([])
      // Those who died leave nothing behind once their time is over.
      await until('the lock is free', async () => !(await client.has(LOCK)))
    },
    TIMEOUT_MS,
  )

  test('the holder is killed → its ttl passes the lock to who waits', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 1 })
    const client = scene.client(node.url)
    const contenders = Contenders.start(scene, node.url, 'p', 1, 1_000_000)
    await until('it holds the lock', () => contenders.heldCount > 3)
    const waiting = client.lock(LOCK, { ttl: 5_000, wait: 20_000 })
    contenders.kill()
    const lock = await waiting
    expect(lock.token).toBeGreaterThan(contenders.lastToken)
    await lock.release()
  })

  test('a child that is killed and replaced → the queue goes on in its order', async () => {
    const scene = sceneOfTest()
    const node = await scene.startNode({ children: 1 })
    const client = scene.client(node.url)
    const first = await client.lock(LOCK, { ttl: 20_000 })
    const order: number[] = []
    const waiting = [0, 1, 2].map(async (number) => {
      const lock = await scene.client(node.url).lock(LOCK, { ttl: 20_000, wait: 40_000 })
      order.push(number)
      await lock.release()
      return lock.token
    })
    const pid = node.topology().children[0]?.pid ?? 0
    killNow(pid)
    await until('the child is replaced', () => node.topology().children[0]?.pid !== pid)
    await until('it serves again', async () => (await client.get(LOCK)) !== undefined)
    expect(await failureOf(() => client.lock(LOCK, { ttl: 1_000 }))).toBe('LOCKED not-applied')
    expect(first.signal.aborted).toBe(false)
    await first.release()
    const tokens = await Promise.all(waiting)
    expect(new Set(order)).toEqual(new Set([0, 1, 2]))
    expect(Math.min(...tokens)).toBeGreaterThan(first.token)
  })
})

/** A process of `lock-contender.mjs`. */
class Contenders {
  asking = 0
  heldCount = 0
  lastToken = 0
  isKilled = false
  hasEnded = false
  readonly problems: string[] = []
  readonly contenders: readonly string[]
  private readonly process: ChildProcess

  private constructor(process: ChildProcess, name: string, count: number) {
    this.process = process
    this.contenders = Array.from({ length: count }, (_, index) => `${name}.${index}`)
    process.once('close', (code) => {
      this.hasEnded = true
      if (code !== 0 && !this.isKilled) this.problems.push(`ended with ${code}`)
    })
    createInterface(process.stdout!).on('line', (line) => {
      const [what, , token] = line.split(' ')
      if (what === 'asking') this.asking += 1
      else if (what === 'refused') this.problems.push(line)
      else if (what === 'held') {
        this.heldCount += 1
        this.lastToken = Number(token)
      }
    })
    createInterface(process.stderr!).on('line', (line) => this.problems.push(line))
  }

  static start(
    scene: Scene,
    url: string,
    name: string,
    count: number = CONTENDERS_EACH,
    times: number = TIMES,
  ): Contenders {
    const args = [PROGRAM, url, name, String(count), String(times)]
    const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const made = new Contenders(process_, name, count)
    scene.onEnd(async () => {
      if (!made.hasEnded) made.kill()
      await until('the contenders are gone', () => made.hasEnded)
    })
    return made
  }

  kill(): void {
    this.isKilled = true
    this.process.kill('SIGKILL')
  }
}

function held(processes: readonly Contenders[]): number {
  return processes.reduce((sum, { heldCount }) => sum + heldCount, 0)
}

async function logOf(client: UntypedClient): Promise<Logged[]> {
  const entries = await client.list({ prefix: '{storm}log/' }).toArray()
  return entries.map(({ value }) => value as Logged)
}

/** Who got the lock three times while another that waited all the time got it not once. */
function passedOver(log: readonly Logged[], contenders: readonly string[]): string[] {
  const found: string[] = []
  for (const one of contenders) {
    const times = log.flatMap(({ contender }, at) => (contender === one ? [at] : []))
    for (const [index, from] of times.entries()) {
      const to = times[index + 2]
      if (to === undefined) continue
      const between = new Set(log.slice(from, to).map(({ contender }) => contender))
      // One that is through, or has not begun, is not passed over.
      const waiting = contenders.filter((other) => {
        const own = log.flatMap(({ contender }, at) => (contender === other ? [at] : []))
        return (own[0] ?? 0) < from && (own.at(-1) ?? 0) > to
      })
      for (const other of waiting) if (!between.has(other)) found.push(`${one} before ${other}`)
    }
  }
  return found
}
