import { atomicCall, shardOf } from '@kv/protocol'
import type { Call } from '@kv/protocol'
import { BatchBody } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { setCall } from '../shard/testing/calls.js'
import { BatchAnswers } from './batch-answers.js'
import { bodyOf, cutBody, gather, readReply, writes, writesBody } from './testing/batches.js'
import { FakeShard, until } from './testing/fake-shard.js'

import { WriteIntake } from './write-intake.js'

const CLEAR: Call = { type: 'clear', shard: 0, from: '', to: undefined }

function set(key: string): Call {
  return setCall(key, 'x')
}

function start() {
  const shard = new FakeShard()
  const room = { isThere: true, refusal: undefined as Error | undefined, isServed: true }
  const clock = { nowMs: 1_000 }
  const errors: unknown[] = []
  const intake = new WriteIntake({
    shardFor: () => (room.isServed ? shard.asShard : undefined),
    now: () => clock.nowMs,
    hasRoom: () => room.isThere,
    refusal: () => room.refusal,
    valueBytesMax: 1_000,
    shardCount: 16,
  })
  for (const clientId of [2, 3, 4]) intake.join(clientId)
  /** Takes a batch; the result tells its answers so far. */
  const take = (body: BatchBody, deadlineMs = 2_000, clientId = 2): (() => unknown[]) => {
    const answers = new BatchAnswers(1, body.callCount, () => undefined)
    const onProtocolError = (error: unknown): void => void errors.push(error)
    intake.take({
      body,
      clientId,
      topologyVersion: 1,
      answers,
      deadlineMs,
      onProtocolError,
    })
    const seen: ReturnType<typeof readReply>[] = []
    return () => {
      seen.push(...answers.take().map(({ message }) => readReply(message, body.callCount)))
      return gather(seen, body.callCount)
    }
  }
  return { shard, room, clock, errors, intake, take }
}

describe('write intake: order', () => {
  test('P4: batches of several connections → calls in the order they came, with their numbers', () => {
    const { shard, take } = start()
    const first = take(writes([set('a'), { type: 'delete', key: 'b' }], 7))
    const second = take(writes([set('c')], 40))
    expect(shard.asked).toEqual(['7 set a', '8 delete b', '40 set c'])
    expect([first(), second()]).toEqual([[1, 2], [3]])
  })

  test('P4: resent calls → keep the numbers they had', () => {
    const { shard, take } = start()
    const head = { kind: 'resends', sequences: [3, 9], lowWater: 2 } as const
    take(new BatchBody(bodyOf(head, [set('a'), set('b')])))
    expect(shard.asked).toEqual(['3 set a', '9 set b'])
  })

  test('reads among writes → answered in order', () => {
    const { shard, take } = start()
    const answers = take(writes([set('a'), { type: 'get', key: 'a' }, set('b')]))
    expect(shard.asked).toEqual(['1 set a', 'get a', '3 set b'])
    expect(answers()).toEqual([1, true, 2])
  })

  test('flush → each shard that was written to, once', () => {
    const { shard, take, intake } = start()
    take(writes([set('a'), set('b')]))
    take(writes([set('c')]))
    intake.flush()
    intake.flush()
    expect(shard.flushes).toBe(1)
  })
})

describe('write intake: the overlay is at its limit (P7)', () => {
  test('no room → nothing is judged; with room it goes on, in order', () => {
    const { shard, room, take, intake } = start()
    room.isThere = false
    take(writes([set('a')]))
    take(writes([set('b')]))
    expect(shard.asked).toEqual([])
    room.isThere = true
    take(writes([set('c')]))
    expect(shard.asked).toEqual(['1 set a', '1 set b', '1 set c'])
    room.isThere = false
    take(writes([set('d')]))
    room.isThere = true
    intake.resume()
    expect(shard.asked.at(-1)).toBe('1 set d')
    expect(shard.flushes).toBe(1)
  })

  test('none will come → refused for want of space, not applied', () => {
    const { shard, room, take, intake } = start()
    room.isThere = false
    const waiting = take(writes([set('a'), set('b')]))
    room.refusal = new Error('disk full')
    intake.resume()
    const later = take(writes([set('c')]))
    expect(waiting()).toEqual(['NO_SPACE not-applied', 'NO_SPACE not-applied'])
    expect(later()).toEqual(['NO_SPACE not-applied'])
    expect(shard.asked).toEqual([])
  })

  test('room, though the last attempt to make some failed → taken', () => {
    const { shard, room, take } = start()
    room.refusal = new Error('disk full')
    take(writes([set('a')]))
    expect(shard.asked).toEqual(['1 set a'])
  })

  test('its time is over before there is room → timed out, not applied', () => {
    const { shard, room, clock, take, intake } = start()
    room.isThere = false
    const early = take(writes([set('a')]), 1_500)
    const late = take(writes([set('b')]), 3_000)
    clock.nowMs = 1_500
    intake.resume()
    expect(early()).toEqual(['TIMEOUT not-applied'])
    room.isThere = true
    intake.resume()
    expect(shard.asked).toEqual(['1 set b'])
    expect(late()).toEqual([1])
  })
})

describe('write intake: several clients (P7)', () => {
  test('one with a lot waiting → another one with little comes next, each in its own order', () => {
    const { shard, room, take, intake } = start()
    room.isThere = false
    const keys = Array.from({ length: 100 }, (_, index) => `${index}`)
    for (const some of ['a', 'b', 'c']) take(writes(keys.map((key) => set(`${some}${key}`))))
    take(writes([set('little')]), 2_000, 3)
    take(writes([set('more')], 2), 2_000, 3)
    room.isThere = true
    intake.resume()
    const at = (name: string): number => shard.asked.indexOf(name)
    expect(shard.asked).toHaveLength(302)
    expect(at('1 set little')).toBeLessThan(at('1 set b0'))
    expect(at('1 set little')).toBeLessThan(at('2 set more'))
    expect(at('1 set b0')).toBeLessThan(at('1 set c0'))
  })

  test('P4: a client is gone by one way → what waits keeps its order; by all → it is dropped', () => {
    const { shard, room, take, intake } = start()
    room.isThere = false
    intake.join(3)
    take(writes([set('a')]), 2_000, 3)
    intake.leave(3)
    take(writes([set('b')], 2), 2_000, 3)
    take(writes([set('dropped')]), 2_000, 4)
    intake.leave(4)
    intake.join(4)
    take(writes([set('again')]), 2_000, 4)
    room.isThere = true
    intake.resume()
    expect(shard.asked.toSorted()).toEqual(['1 set a', '1 set again', '2 set b'])
    expect(shard.asked.indexOf('1 set a')).toBeLessThan(shard.asked.indexOf('2 set b'))
  })
})

describe('write intake: calls that go nowhere', () => {
  test('a shard that is not served here → moved', () => {
    const { room, take } = start()
    room.isServed = false
    expect(take(writes([set('a'), CLEAR]))()).toEqual(['MOVED not-applied', 'MOVED not-applied'])
  })

  test('a value larger than this node takes → refused, the others of its batch are not', () => {
    const { take } = start()
    const answers = take(writes([setCall('a', 'x'.repeat(1_001)), setCall('b', 'x'.repeat(1_000))]))
    expect(answers()).toEqual(['VALUE_TOO_LARGE not-applied', 1])
  })

  test('an atomic batch that reaches into another shard → CROSS_SHARD, the shard is not asked', () => {
    const { shard, take } = start()
    const [home = '', other = ''] = [0, 1].map((wanted) =>
      ['a', 'b', 'c', 'd', 'e', 'f'].find((key) => shardOf(key, 2) === wanted),
    )
    const answers = take(
      writes([
        atomicCall([setCall(home, 'x'), setCall(other, 'y')]),
        atomicCall([setCall(`${home}{t}`, 'x'), { type: 'check', key: '{t}', version: null }]),
      ]),
    )
    expect(answers()).toEqual(['CROSS_SHARD not-applied', 1])
    expect(shard.asked).toHaveLength(1)
  })

  test('an atomic batch with a value larger than this node takes → refused as a whole', () => {
    const { shard, take } = start()
    const large = atomicCall([setCall('{t}a', 'x'), setCall('{t}b', 'x'.repeat(1_001))])
    expect(take(writes([large]))()).toEqual(['VALUE_TOO_LARGE not-applied'])
    expect(shard.asked).toEqual([])
  })

  test('P8: the stored state cannot be read → unavailable, not applied', () => {
    const { shard, take } = start()
    shard.error = new Error('damaged')
    expect(take(writes([set('a')]))()).toEqual(['UNAVAILABLE not-applied'])
  })

  test('a call that is none → the connection ends; what stood before it was taken', () => {
    const { shard, errors, take } = start()
    take(cutBody(writesBody([set('a'), set('b')])))
    take(writes([set('c')]))
    expect(errors).toMatchObject([{ code: 'PROTOCOL' }])
    expect(shard.asked).toEqual(['1 set a', '1 set c'])
  })
})

describe('write intake: work in slices', () => {
  test('P4: clear, with keys to be sorted first → what comes later waits behind it', async () => {
    const { shard, take } = start()
    shard.unsorted = 4
    const first = take(writes([set('a'), CLEAR, set('b')]))
    const second = take(writes([set('c')], 50))
    expect(shard.asked).toEqual(['1 set a'])
    await until(() => shard.asked.length === 4)
    expect(shard.asked).toEqual(['1 set a', '2 clear', '3 set b', '50 set c'])
    expect([first(), second()]).toEqual([[1, 2, 3], [4]])
    expect(shard.flushes).toBeGreaterThan(0)
  })

  test('P4: a batch of very many calls → in slices, later ones wait behind it', async () => {
    const { shard, take } = start()
    const keys = Array.from({ length: 5_000 }, (_, index) => `${index}`)
    const first = take(writes(keys.map(set)))
    take(writes([set('behind')]))
    expect(shard.asked).toHaveLength(2_048)
    await until(() => shard.asked.length === 5_001)
    expect(shard.asked.at(-1)).toBe('1 set behind')
    expect(first()).toEqual(keys.map((_, index) => index + 1))
  })

  test('P3: time went on between slices → judged by the time it is then', async () => {
    const { shard, clock, take } = start()
    const calls = Array.from({ length: 3_000 }, (_, index) => set(`${index}`))
    take(writes(calls))
    clock.nowMs = 1_500
    await until(() => shard.asked.length === 3_000)
    expect([shard.times[0], shard.times.at(-1)]).toEqual([1_000, 1_500])
  })

  test('a call that is none, in a late slice → the connection ends, others go on', async () => {
    const { shard, errors, take } = start()
    take(cutBody(writesBody(Array.from({ length: 3_000 }, (_, index) => set(`${index}`)))))
    take(writes([set('behind')]))
    await until(() => shard.asked.includes('1 set behind'))
    expect(errors).toMatchObject([{ code: 'PROTOCOL' }])
  })
})
