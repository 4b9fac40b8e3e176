import { describe, expect, test } from 'vitest'
import type { Answer } from './answer.js'
import {
  incrementCall,
  readCountAnswer,
  readCounterAnswer,
  readEntryAnswer,
  readPageAnswer,
  readValueAnswer,
  setCall,
} from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const WHOLE = { shard: 5, from: '', to: undefined }
const SCAN = { type: 'scan', ...WHOLE, limit: 1_000, reverse: false, keysOnly: false } as const

function withShard(use: (under: ShardUnderTest, directory: string) => Promise<void>) {
  return inDirectory(async (directory) => {
    const under = await ShardUnderTest.open({ directory, create: true })
    try {
      await use(under, directory)
    } finally {
      await under.shard.close()
    }
  })
}

describe('shard: reads', () => {
  test('each kind of read → its answer, from the overlay and from the state alike', () =>
    withShard(async (under) => {
      const expiry = { kind: 'ttl', ms: 500 } as const
      const [, version] = await under.send([setCall('a', 'one'), setCall('b', 'two', { expiry })])
      for (const isApplied of [false, true]) {
        if (isApplied) await under.shard.apply()
        expect(under.shard.isApplied).toBe(isApplied)
        expect(readValueAnswer(under.read({ type: 'get', key: 'a' }))).toBe('one')
        expect(readValueAnswer(under.read({ type: 'get', key: 'c' }))).toBeUndefined()
        const entry = { version, expiresAt: under.clock.nowMs + 500, text: 'two' }
        expect(readEntryAnswer(under.read({ type: 'entry', key: 'b' }))).toEqual(entry)
        expect(under.read({ type: 'has', key: 'a' })).toEqual(Buffer.of(0xc3))
        expect(under.read({ type: 'has', key: 'c' })).toEqual(Buffer.of(0xc2))
        expect(readPageAnswer(under.read(SCAN), false)).toEqual({
          resume: undefined,
          entries: [
            { key: 'a', version: 2, expiresAt: 0, text: 'one' },
            { key: 'b', ...entry },
          ],
        })
        const keys = readPageAnswer(under.read({ ...SCAN, reverse: true, keysOnly: true }), true)
        expect(keys.entries).toEqual([{ key: 'b' }, { key: 'a' }])
        expect(readCountAnswer(under.read({ type: 'count', ...WHOLE }))).toEqual({
          count: 2,
          resume: undefined,
        })
      }
    }))

  test('P3: a write that is not durable yet → not read', () =>
    withShard(async (under) => {
      await under.write(setCall('a', 'old'))
      const { answers } = under.sendUnanswered([setCall('a', 'new')])
      expect(readValueAnswer(under.read({ type: 'get', key: 'a' }))).toBe('old')
      await answers.at(0)
      expect(readValueAnswer(under.read({ type: 'get', key: 'a' }))).toBe('new')
    }))

  test('P4: reads among writes → see those before them and not those after', () =>
    withShard(async (under) => {
      const get = { type: 'get', key: 'a' } as const
      const answers = await under.send([
        get,
        setCall('a', 'one'),
        get,
        setCall('a', 'two'),
        setCall('b', 'x'),
        { type: 'count', ...WHOLE },
        get,
      ])
      const [first, , second, , , count, third] = answers
      expect(readValueAnswer(first as Answer)).toBeUndefined()
      expect(readValueAnswer(second as Answer)).toBe('one')
      expect(readValueAnswer(third as Answer)).toBe('two')
      expect(readCountAnswer(count as Answer).count).toBe(2)
    }))

  test('at exactly its time → hidden from every read, though still stored', () =>
    withShard(async (under) => {
      await under.write(setCall('a', 'x', { expiry: { kind: 'ttl', ms: 10 } }))
      await under.shard.apply()
      under.clock.nowMs += 9
      expect(readValueAnswer(under.read({ type: 'get', key: 'a' }))).toBe('x')
      under.clock.nowMs += 1
      expect(readValueAnswer(under.read({ type: 'get', key: 'a' }))).toBeUndefined()
      expect(readPageAnswer(under.read(SCAN), false).entries).toEqual([])
      expect(under.shard.report().keys).toBe(1)
    }))

  test('an upper bound that is the empty text → an empty range', () =>
    withShard(async (under) => {
      await under.write(setCall('a', 'x'))
      await under.shard.apply()
      const empty = { ...WHOLE, to: '' }
      expect(readPageAnswer(under.read({ ...SCAN, ...empty }), false).entries).toEqual([])
      const cleared = await under.write({ type: 'clear', ...empty })
      expect(readCountAnswer(cleared).count).toBe(0)
      expect(readValueAnswer(under.read({ type: 'get', key: 'a' }))).toBe('x')
    }))
})

describe('shard: writes on what is stored', () => {
  test('touched, then other keys are read → the touched value is its own', () =>
    withShard(async (under) => {
      await under.send([setCall('a', 'the value of a'), setCall('b', 'another, of b.')])
      await under.shard.apply()
      await under.write({ type: 'touch', key: 'a', ttlMs: 1_000 })
      expect(readValueAnswer(under.read({ type: 'get', key: 'b' }))).toBe('another, of b.')
      expect(readValueAnswer(under.read({ type: 'get', key: 'a' }))).toBe('the value of a')
      await under.shard.apply()
      expect(readEntryAnswer(under.read({ type: 'entry', key: 'a' }))).toEqual({
        version: 2,
        expiresAt: under.clock.nowMs + 1_000,
        text: 'the value of a',
      })
    }))

  test('condition, counter and clear → judged on stored entries as on those in memory', () =>
    withShard(async (under) => {
      await under.send([setCall('a', 'x'), incrementCall('n', 5)])
      await under.shard.apply()
      const refused = await under.write(setCall('a', 'y', { ifVersion: 99 }))
      expect(readEntryAnswer(refused)).toMatchObject({ text: 'x' })
      expect(readCounterAnswer(await under.write(incrementCall('n', 2)))[0]).toBe(7)
      const cleared = await under.write({ type: 'clear', ...WHOLE })
      expect(readCountAnswer(cleared)).toEqual({ count: 2, resume: undefined })
      await under.shard.apply()
      expect(under.shard.report().keys).toBe(0)
    }))
})

describe('shard: expiry', () => {
  test('over its time → removed through the log, from overlay and state', () =>
    withShard(async (under) => {
      const expiry = { kind: 'ttl', ms: 10 } as const
      await under.write(setCall('stored', 'x', { expiry }))
      await under.shard.apply()
      await under.write(setCall('held', 'x', { expiry }))
      await under.write(setCall('stays', 'x'))
      const { revision } = under.shard.report()
      under.clock.nowMs += 10
      under.shard.expireSome()
      await under.send([{ type: 'get', key: 'stays' }])
      expect(under.shard.report().revision).toBe(revision + 1)
      await under.shard.apply()
      expect(under.shard.report().keys).toBe(1)
      under.shard.expireSome()
      expect(under.shard.report().revision).toBe(revision + 1)
    }))
})

describe('shard: reopened', () => {
  test('P1: applied or not → everything acknowledged is there, in the next epoch', () =>
    inDirectory(async (directory) => {
      let under = await ShardUnderTest.open({ directory, create: true })
      await under.send([setCall('stored', 'one'), setCall('gone', 'x')])
      await under.shard.apply()
      await under.send([setCall('held', 'two'), { type: 'delete', key: 'gone' }])
      await under.write({ type: 'touch', key: 'stored', ttlMs: 1_000 })
      await under.shard.close()

      under = await ShardUnderTest.open({ directory, epoch: 2 })
      expect(readPageAnswer(under.read(SCAN), false).entries).toMatchObject([
        { key: 'held', version: 4, text: 'two' },
        { key: 'stored', version: 2, expiresAt: 1_001_000, text: 'one' },
      ])
      expect(under.shard.report()).toMatchObject({ epoch: 2, revision: 7 })
      await under.shard.close()
    }))

  test('P2: revisions → go on where they ended', () =>
    inDirectory(async (directory) => {
      let under = await ShardUnderTest.open({ directory, create: true })
      expect(await under.write(setCall('a', 'x'))).toBe(2)
      await under.shard.close()
      under = await ShardUnderTest.open({ directory, epoch: 2 })
      expect(await under.write(setCall('a', 'x'))).toBe(4)
      await under.shard.close()
    }))

  test('P7: applied → the log lets its old segments go', () =>
    withShard(async (under) => {
      for (let round = 0; round < 6; round += 1) {
        await under.send([setCall('a', 'x'.repeat(200_000))])
      }
      const before = under.shard.report().logBytes
      await under.shard.apply()
      expect(under.shard.report().logBytes).toBeLessThan(before)
      expect(under.shard.report().appliedRevision).toBe(7)
    }))
})

describe('shard: close', () => {
  test('writes under way → answered first; later ones are moved', () =>
    inDirectory(async (directory) => {
      const under = await ShardUnderTest.open({ directory, create: true })
      const { answers } = under.sendUnanswered([setCall('a', 'x'), setCall('b', 'y')])
      await under.shard.close()
      expect([...answers.byPosition.values()]).toEqual([2, 3])
      await under.shard.close()
    }))

  test('while it is applying → both end', () =>
    inDirectory(async (directory) => {
      const under = await ShardUnderTest.open({ directory, create: true })
      await under.send(Array.from({ length: 2_000 }, (_, index) => setCall(`key ${index}`, 'x')))
      const applying = under.shard.apply()
      expect(under.shard.apply()).toBe(applying)
      await Promise.all([under.shard.close(), applying])
      const again = await ShardUnderTest.open({ directory, epoch: 2 })
      expect(again.shard.report().keys).toBe(2_000)
      await again.shard.close()
    }))
})
