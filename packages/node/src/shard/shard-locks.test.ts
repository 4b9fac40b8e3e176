import type { LockCall } from '@kv/protocol'
import { KEY_BYTES_MAX, WireReader } from '@kv/protocol'
import { expect, test } from 'vitest'
import type { Answer } from './answer.js'
import { readCountAnswer, readPageAnswer, setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const RANGE = { shard: 5, from: '', to: undefined } as const
const SCAN = { type: 'scan', ...RANGE, limit: 100, keysOnly: true } as const

function lockCall(owner: string, ticket = 0, key = 'lock'): LockCall {
  return { type: 'lock', key, owner: Buffer.from(owner), ttlMs: 1_000, ticket, waitMs: 3_000 }
}

function queued(answer: Answer): [ticket: number, behind: number] {
  const reader = new WireReader(answer as Uint8Array)
  reader.tuple(2)
  return [reader.unsigned(), reader.unsigned()]
}

function keysOf(under: ShardUnderTest, reverse = false): string[] {
  const { entries } = readPageAnswer(under.read({ ...SCAN, reverse }), true)
  return entries.map(({ key }) => key)
}

test('P1, P2: a queue → goes through applying, a crash and a restart in its order', () =>
  inDirectory(async (directory) => {
    let under = await ShardUnderTest.open({ directory, create: true })
    const { clock } = under
    const key = 'k'.repeat(KEY_BYTES_MAX)
    expect(await under.write(lockCall('a', 0, key))).toBe(2)
    expect(queued(await under.write(lockCall('b', 0, key)))).toEqual([1, 0])
    await under.shard.apply()
    expect(queued(await under.write(lockCall('c', 0, key)))).toEqual([2, 1])
    await under.shard.close()
    under = await ShardUnderTest.open({ directory, epoch: 2, clock })
    expect(queued(await under.write(lockCall('c', 2, key)))).toEqual([2, 1])
    const unlock = { type: 'unlock', key, owner: Buffer.from('a'), ticket: 0 } as const
    expect(await under.write(unlock)).toBe(true)
    await under.shard.apply()
    expect(queued(await under.write(lockCall('c', 2, key)))).toEqual([2, 1])
    const version = await under.write(lockCall('b', 1, key))
    expect(version).toBeGreaterThan(2)
    expect(queued(await under.write(lockCall('c', 2, key)))).toEqual([2, 0])
    await under.shard.close()
  }))

test('who waits → is not listed, not counted and not cleared', () =>
  inDirectory(async (directory) => {
    const under = await ShardUnderTest.open({ directory, create: true })
    const last = '\u{10ffff}'
    const clear = { type: 'clear', ...RANGE } as const
    for (const isApplied of [false, true]) {
      const key = `lock ${isApplied}`
      await under.send([
        setCall(last, 'x'),
        ...['a', 'b', 'c'].map((owner) => lockCall(owner, 0, key)),
      ])
      if (isApplied) await under.shard.apply()
      expect(keysOf(under)).toEqual([key, last])
      expect(keysOf(under, true)).toEqual([last, key])
      expect(readCountAnswer(under.read({ type: 'count', ...RANGE })).count).toBe(2)
      // Together with what is pending, too.
      const [, answer] = await under.send([lockCall('d', 0, key), clear])
      expect(readCountAnswer(answer as Answer)).toEqual({ count: 2, resume: undefined })
      expect(queued(await under.write(lockCall('e', 0, key)))).toEqual([4, 3])
    }
    await under.shard.close()
  }))

test('whose time is over → is removed through the log, and the queue with the last', () =>
  inDirectory(async (directory) => {
    const under = await ShardUnderTest.open({ directory, create: true })
    const keys = (): number => under.shard.report().keys
    await under.send([lockCall('a'), lockCall('b'), lockCall('c')])
    await under.shard.apply()
    expect(keys()).toBe(4)
    under.clock.nowMs += 3_000
    under.shard.expireSome()
    await under.send([{ type: 'has', key: 'lock' }])
    await under.shard.apply()
    expect(keys()).toBe(0)
    expect(await under.write(lockCall('d'))).toBeTypeOf('number')
    await under.shard.close()
  }))
