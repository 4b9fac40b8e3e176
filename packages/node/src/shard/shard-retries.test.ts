/** Writes that are sent again, on a real shard: through restart, replay and log truncation (P4). */
import type { WriteCall } from '@kv/protocol'
import { atomicCall } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Answer } from './answer.js'
import { FORGOTTEN_ANSWER } from './answer.js'
import { SESSION_IDLE_MS } from './sessions/session-table.js'
import { incrementCall, readCountAnswer, setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const CLIENT = 9
const FORGOTTEN = Uint8Array.from(FORGOTTEN_ANSWER)

function clearCall(from: string, to: string | undefined): WriteCall {
  return { type: 'clear', shard: 5, from, to }
}

/** What may happen between a write and its retry. */
const PAUSES: Readonly<Record<string, (under: ShardUnderTest) => Promise<void>>> = {
  nothing: async () => {},
  applied: (under) => under.shard.apply(),
}

async function reopened(
  under: ShardUnderTest,
  directory: string,
  epoch: number,
): Promise<ShardUnderTest> {
  await under.shard.close()
  return ShardUnderTest.open({ directory, epoch, clock: under.clock })
}

const call: fc.Arbitrary<WriteCall> = fc.oneof(
  fc
    .tuple(fc.constantFrom('a', 'b'), fc.constantFrom(undefined, null, 3))
    .map(([key, ifVersion]) => ({ ...setCall(key, 'text'), ifVersion }) as WriteCall),
  fc.constantFrom<WriteCall>(
    incrementCall('n', 1),
    incrementCall('n', 0.5, { ttlMs: 5_000 }),
    incrementCall('n', 1, { max: 3 }),
    incrementCall('a', 1),
    { type: 'delete', key: 'a' },
    { type: 'deleteIf', key: 'b', version: 4 },
    { type: 'touch', key: 'b', ttlMs: 9_000 },
    { type: 'touch', key: 'b', ttlMs: undefined },
    clearCall('', undefined),
    clearCall('a', 'b'),
    atomicCall([incrementCall('n', 2), setCall('b', 'x'), { type: 'delete', key: 'a' }]),
  ),
)

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('call' as const), call }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('retry' as const), back: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('apply' as const, 'reopen' as const) }) },
)

describe('retries on a shard', () => {
  test('P4: any writes, retries, applies and restarts → a retry gets what was answered first', async () => {
    const property = fc.asyncProperty(fc.array(step, { maxLength: 25, size: 'max' }), (steps) =>
      inDirectory(async (directory) => {
        let under = await ShardUnderTest.open({ directory, create: true })
        let epoch = 1
        const calls: { call: WriteCall; answer: Answer; isLogged: boolean }[] = []
        for (const each of steps) {
          const revision = under.shard.report().revision
          if (each.do === 'apply') await under.shard.apply()
          if (each.do === 'reopen') under = await reopened(under, directory, (epoch += 1))
          if (each.do === 'call') {
            const sequence = calls.length + 1
            const attempt = { clientId: CLIENT, sequence, isResend: false }
            const answer = await under.attempt(each.call, attempt)
            const isLogged = under.shard.report().revision !== revision
            calls.push({ call: each.call, answer, isLogged })
          }
          const sequence = each.do === 'retry' ? calls.length - each.back : 0
          const first = calls[sequence - 1]
          // A refusal is judged again: only what was logged is due once.
          if (first?.isLogged !== true) continue
          const attempt = { clientId: CLIENT, sequence, isResend: true }
          expect(await under.attempt(first.call, attempt)).toEqual(first.answer)
          expect(under.shard.report().revision).toBe(revision)
        }
        await under.shard.close()
      }),
    )
    await fc.assert(property, { numRuns: 30 })
  })

  test.each(Object.keys(PAUSES))(
    'P4: %s, then the counter goes on, then a restart → the first value, version and expiry',
    (pause) =>
      inDirectory(async (directory) => {
        let under = await ShardUnderTest.open({ directory, create: true })
        const counted = incrementCall('n', 1.5, { ttlMs: 60_000 })
        const first = await under.attempt(counted, {
          clientId: CLIENT,
          sequence: 1,
          isResend: false,
        })
        await under.write(counted)
        await PAUSES[pause]?.(under)
        under = await reopened(under, directory, 2)
        const again = { clientId: CLIENT, sequence: 1, isResend: true }
        expect(await under.attempt(counted, again)).toEqual(first)
        await under.shard.close()
      }),
  )

  test('P4: a clear of many keys → the same count, and the rest is found where it says', () =>
    inDirectory(async (directory) => {
      let under = await ShardUnderTest.open({ directory, create: true })
      const keys = Array.from({ length: 1_500 }, (_, index) => `key ${10_000 + index}`)
      await under.send(keys.map((key) => setCall(key, 'x')))
      while (under.shard.sortSome());
      const attempt = { clientId: CLIENT, sequence: 1, isResend: false }
      const first = await under.attempt(clearCall('', undefined), attempt)
      under = await reopened(under, directory, 2)
      const again = await under.attempt(clearCall('', undefined), { ...attempt, isResend: true })
      expect(again).toEqual(first)
      const { count, resume } = readCountAnswer(again)
      while (under.shard.sortSome());
      const rest = await under.write(clearCall(resume ?? '', undefined))
      expect(count + readCountAnswer(rest).count).toBe(1_500)
      await under.shard.close()
    }))

  test('P4: the reply is lost, then the session evicted → forgotten, and not executed again', () =>
    inDirectory(async (directory) => {
      let under = await ShardUnderTest.open({ directory, create: true })
      const attempt = { clientId: CLIENT, sequence: 1, isResend: false }
      await under.attempt(incrementCall('n', 1), attempt)
      under.clock.nowMs += SESSION_IDLE_MS + 60_000
      under.shard.expireSome()
      await under.write(setCall('other', 'x'))
      const again = { ...attempt, isResend: true }
      expect(await under.attempt(incrementCall('n', 1), again)).toEqual(FORGOTTEN)
      await under.shard.apply()
      under = await reopened(under, directory, 2)
      expect(await under.attempt(incrementCall('n', 1), again)).toEqual(FORGOTTEN)
      const next = { ...attempt, sequence: 2 }
      const counted = await under.attempt(incrementCall('n', 1), next)
      expect(counted).toEqual(
        await under.attempt(incrementCall('n', 1), { ...next, isResend: true }),
      )
      expect(await under.attempt(incrementCall('n', 1), again)).toEqual(FORGOTTEN)
      await under.shard.close()
    }))

  test('P4: the clock of another opening is an hour ahead → nobody is forgotten', () =>
    inDirectory(async (directory) => {
      const first = await ShardUnderTest.open({ directory, create: true })
      const attempt = { clientId: CLIENT, sequence: 1, isResend: false }
      const answer = await first.attempt(incrementCall('n', 1), attempt)
      await first.shard.close()
      const clock = { nowMs: first.clock.nowMs + 3_600_000 }
      const under = await ShardUnderTest.open({ directory, epoch: 2, clock })
      under.shard.expireSome()
      clock.nowMs += 60_000
      under.shard.expireSome()
      const again = { ...attempt, isResend: true }
      expect(await under.attempt(incrementCall('n', 1), again)).toEqual(answer)
      await under.shard.close()
    }))

  test('P4: a retry meets its own uncommitted record → one execution, both get its answer', () =>
    inDirectory(async (directory) => {
      const under = await ShardUnderTest.open({ directory, create: true })
      const attempt = { clientId: CLIENT, sequence: 1, isResend: false }
      const both = await Promise.all([
        under.attempt(incrementCall('n', 1), attempt),
        under.attempt(incrementCall('n', 1), { ...attempt, isResend: true }),
      ])
      expect(both[0]).toEqual(both[1])
      expect(under.shard.report().revision).toBe(2)
      await under.shard.close()
    }))

  test('time of the frames → not back over a reopening, applied or not', () =>
    inDirectory(async (directory) => {
      let under = await ShardUnderTest.open({ directory, create: true })
      await under.write(setCall('a', 'x'))
      const { nowMs } = under.clock
      for (const epoch of [2, 3]) {
        if (epoch === 3) await under.shard.apply()
        await under.shard.close()
        under = await ShardUnderTest.open({ directory, epoch, clock: { nowMs: 5 } })
        expect(under.shard.recordTimeMs).toBeGreaterThanOrEqual(nowMs)
      }
      await under.shard.close()
    }))
})
