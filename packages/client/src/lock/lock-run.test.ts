import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.js'
import { FakeLockShard, LOCK } from '../testing/fake-lock-shard.js'
import { outcomeOf } from '../testing/harness.js'
import { LockRun } from './lock-run.js'
import type { Lock } from './lock.js'

const TTL_MS = 300
const PLACE_MS = 600

function start(latencyMs: () => number = () => 1) {
  const clock = new FakeClock()
  const shard = new FakeLockShard(clock, latencyMs)
  /** Lets time pass in small steps, so that everything happens that is due in between. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 5) {
      clock.advance(5)
      await Promise.resolve().then(() => settleMicrotasks())
    }
  }
  const contend = (owner: string, waitMs = 60_000, signal?: AbortSignal) => {
    const line = shard.line(owner, TTL_MS, PLACE_MS)
    const run = new LockRun(
      {
        key: LOCK,
        ttlMs: TTL_MS,
        placeMs: PLACE_MS,
        waitUntil: clock.now() + waitMs,
        mayWait: waitMs > 0,
      },
      line.ports,
    )
    const acquired = run.acquire(signal)
    acquired.catch(() => undefined)
    return { acquired, kill: () => line.kill(), line }
  }
  return { clock, shard, pass, contend }
}

async function settleMicrotasks(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await Promise.resolve()
}

describe('lock: one holder', () => {
  test('free → had at once; renewed as long as it is held, under the same version', async () => {
    const { shard, pass, contend } = start()
    const { acquired } = contend('a')
    await pass(10)
    const lock = await acquired
    expect(lock).toMatchObject({ key: LOCK, version: 1, token: 1 })
    await pass(5 * TTL_MS)
    expect(shard.find(LOCK)?.version).toBe(1)
    expect(lock.signal.aborted).toBe(false)
    const released = lock.release()
    await pass(10)
    await released
    expect(shard.entries.size).toBe(0)
    expect(lock.signal.aborted).toBe(false)
    await lock.release()
  })

  test('a timer for each lock, and none when it is over', async () => {
    const { clock, pass, contend } = start()
    const { acquired } = contend('a')
    await pass(10)
    const lock = await acquired
    const held = clock.timerCount
    const released = lock.release()
    await pass(10)
    await released
    expect(held - clock.timerCount).toBe(1)
  })

  test('renewals that do not get through → LOCK_LOST when the ttl is over, not before', async () => {
    const { pass, contend } = start()
    const { acquired, line } = contend('a')
    await pass(10)
    const lock = await acquired
    line.kill()
    await pass(TTL_MS - 20)
    expect(lock.signal.aborted).toBe(false)
    await pass(20)
    expect(lock.signal.aborted).toBe(true)
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' })
  })

  test('the entry was taken away → LOCK_LOST with the next renewal', async () => {
    const { shard, pass, contend } = start()
    const { acquired } = contend('a')
    await pass(10)
    const lock = await acquired
    shard.entries.delete(LOCK)
    await pass(TTL_MS / 2)
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' })
  })

  test('the event loop stood still past the ttl → known before any timer has run', async () => {
    const { clock, pass, contend } = start()
    const { acquired } = contend('a')
    await pass(10)
    const lock = await acquired
    // Timers are late: the time has passed, and nobody was told.
    ;(clock as unknown as { time: number }).time += TTL_MS
    expect(lock.signal.aborted).toBe(true)
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' })
  })
})

describe('lock: those who wait', () => {
  test('no wait → LOCKED at once, and no place in the queue', async () => {
    const { shard, pass, contend } = start()
    contend('a')
    await pass(10)
    const { acquired } = contend('b', 0)
    await pass(10)
    await expect(acquired).rejects.toMatchObject({ code: 'LOCKED', retryable: true })
    await pass(10)
    expect([...shard.entries.keys()]).toEqual([LOCK])
  })

  test('wait is over → LOCKED, and the place is given back', async () => {
    const { shard, pass, contend } = start()
    contend('a')
    await pass(10)
    const { acquired } = contend('b', 100)
    await pass(90)
    expect(shard.entries.size).toBe(3)
    await pass(30)
    await expect(acquired).rejects.toMatchObject({ code: 'LOCKED' })
    expect([...shard.entries.keys()]).toEqual([LOCK])
  })

  test('released → the next one has it, nobody else is woken', async () => {
    const { shard, pass, contend } = start()
    const first = contend('a')
    await pass(10)
    const others = ['b', 'c', 'd', 'e'].map((name) => contend(name))
    await pass(20)
    const lock = await first.acquired
    const { asks, told } = shard
    void lock.release()
    await pass(20)
    expect((await others[0]!.acquired).token).toBeGreaterThan(lock.token)
    expect(await outcomeOf(others[1]!.acquired)).toBe('pending')
    // b hears of the lock and takes it; c hears of b's place, and is the first now.
    expect([shard.told - told, shard.asks - asks]).toEqual([2, 2])
  })

  test('an abort while it waits → the reason, and its place is given back', async () => {
    const { shard, pass, contend } = start()
    contend('a')
    const abort = new AbortController()
    await pass(10)
    const { acquired } = contend('b', 1_000, abort.signal)
    await pass(20)
    abort.abort(new Error('enough'))
    await expect(acquired).rejects.toThrow('enough')
    await pass(10)
    expect([...shard.entries.keys()]).toEqual([LOCK])
  })

  test('an abort while an ask is under way → what it brings is given back', async () => {
    const { shard, pass, contend } = start()
    const abort = new AbortController()
    const { acquired } = contend('a', 1_000, abort.signal)
    abort.abort(new Error('enough'))
    await expect(acquired).rejects.toThrow('enough')
    await pass(20)
    expect(shard.grants).toHaveLength(1)
    expect(shard.entries.size).toBe(0)
  })

  test('the holder dies → its ttl passes the lock on', async () => {
    const { pass, contend } = start()
    const first = contend('a')
    await pass(10)
    await first.acquired
    const second = contend('b')
    await pass(20)
    first.kill()
    await pass(TTL_MS - 60)
    expect(await outcomeOf(second.acquired)).toBe('pending')
    await pass(60)
    expect((await second.acquired).token).toBe(4)
  })
})

describe('lock: any number, dying at any time', () => {
  const contender = fc.record({
    startMs: fc.nat(400),
    holdMs: fc.nat(200),
    /** Dies so long after its start; `undefined`: does not. */
    killMs: fc.option(fc.nat(1_500), { nil: undefined, freq: 2 }),
  })

  test('→ no two hold it at once, tokens only grow, everybody alive gets it', async () => {
    const histories = fc.asyncProperty(
      fc.array(contender, { minLength: 2, maxLength: 12 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
      async (contenders, latencies) => {
        const stream = latencies[Symbol.iterator]()
        const { clock, shard, pass, contend } = start(() => stream.next().value as number)
        const holding = new Set<string>()
        const tokens: number[] = []
        const gotIt = new Set<number>()
        for (const [index, { startMs, holdMs, killMs }] of contenders.entries()) {
          clock.setTimer(() => {
            const name = `c${index}`
            const { acquired, kill } = contend(name)
            let lock: Lock | undefined
            const hold = async (): Promise<void> => {
              lock = await acquired
              gotIt.add(index)
              holding.add(name)
              tokens.push(lock.token)
              clock.setTimer(() => {
                holding.delete(name)
                void lock?.release()
              }, holdMs)
            }
            void hold()
            if (killMs !== undefined) {
              clock.setTimer(() => {
                kill()
                holding.delete(name)
              }, killMs)
            }
          }, startMs)
        }
        let most = 0
        for (let ms = 0; ms < 12_000; ms += 5) {
          await pass(5)
          most = Math.max(most, holding.size)
        }
        expect(most).toBeLessThanOrEqual(1)
        expect(tokens).toEqual(tokens.toSorted((left, right) => left - right))
        expect(new Set(tokens).size).toBe(tokens.length)
        const alive = contenders.flatMap(({ killMs }, index) =>
          killMs === undefined ? [index] : [],
        )
        expect(alive.filter((index) => !gotIt.has(index))).toEqual([])
        expect(shard.entries.size).toBe(0)
      },
    )
    await expect(
      fc.assert(histories, { numRuns: 25, interruptAfterTimeLimit: 6_000 }),
    ).resolves.toBeUndefined()
  })
})
