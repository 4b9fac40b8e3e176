import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReadCall } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { isDamage } from './replica.js'
import { StateDamage } from './state/stored-entry.js'
import { setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const VALUE = 'the value that is to be damaged'
const WHOLE = { shard: 5, from: '', to: undefined }

/** A shard whose stored entry of key `a`, which expires, is damaged. */
function withDamagedShard(use: (under: ShardUnderTest) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const before = await ShardUnderTest.open({ directory, create: true })
    const expiry = { kind: 'ttl', ms: 10 } as const
    await before.send([setCall('a', VALUE, { expiry }), setCall('b', 'sound', { expiry })])
    await before.shard.apply()
    await before.shard.close()
    const file = join(directory, 'state', 'data.mdb')
    const data = await readFile(file)
    // LMDB copies pages: with a slice for each entry there is an older copy that nobody reads.
    for (let at = data.indexOf(VALUE); at >= 0; at = data.indexOf(VALUE, at)) data[at] = 0x21
    await writeFile(file, data)
    const under = await ShardUnderTest.open({ directory, epoch: 2 })
    try {
      await use(under)
    } finally {
      await under.shard.close()
    }
  })
}

async function errorOf(action: () => unknown): Promise<unknown> {
  try {
    await action()
    return undefined
  } catch (error) {
    return error
  }
}

describe('shard: a stored entry is damaged (P8)', () => {
  test.each<ReadCall>([
    { type: 'get', key: 'a' },
    { type: 'entry', key: 'a' },
    { type: 'has', key: 'a' },
    { type: 'scan', ...WHOLE, limit: 5, reverse: true, keysOnly: true },
    { type: 'count', ...WHOLE },
  ])('$type → not answered, and the shard is given up', (call) =>
    withDamagedShard(async (under) => {
      expect(await errorOf(() => under.read(call))).toBeInstanceOf(StateDamage)
      expect(under.failures[0]).toBeInstanceOf(StateDamage)
    }),
  )

  test.each([
    ['a condition', setCall('a', 'x', { ifVersion: 2 })],
    ['a delete', { type: 'delete', key: 'a' } as const],
    ['a touch', { type: 'touch', key: 'a', ttlMs: 5 } as const],
    ['a step of clear', { type: 'clear', ...WHOLE } as const],
  ])('%s on it → decides nothing, and the shard is given up', (_name, call) =>
    withDamagedShard(async (under) => {
      const { revision } = under.shard.report()
      expect(await errorOf(() => under.write(call))).toBeInstanceOf(StateDamage)
      expect(under.failures[0]).toBeInstanceOf(StateDamage)
      expect(under.shard.report().revision).toBe(revision)
    }),
  )

  test('it is over its time → the sweep gives the shard up, and the process lives', () =>
    withDamagedShard(async (under) => {
      under.clock.nowMs += 10
      under.shard.expireSome()
      expect(under.failures[0]).toBeInstanceOf(StateDamage)
    }))

  test('it is to be replaced by what is applied → the shard is given up', () =>
    withDamagedShard(async (under) => {
      await under.write(setCall('a', 'new'))
      expect(await errorOf(() => under.shard.apply())).toBeInstanceOf(StateDamage)
      expect(under.failures[0]).toBeInstanceOf(StateDamage)
      expect(under.shard.applyFailure).toBeInstanceOf(StateDamage)
    }))
})

describe('replica: what is there is not what is expected (P8)', () => {
  async function openError(
    spoil: (directory: string) => Promise<void>,
    options: { epoch?: number; shard?: number; clusterId?: string } = {},
  ): Promise<unknown> {
    let error: unknown
    await inDirectory(async (directory) => {
      const under = await ShardUnderTest.open({ directory, create: true })
      await under.write(setCall('a', 'x'))
      await under.shard.apply()
      await under.write(setCall('b', 'x'))
      await under.shard.close()
      await spoil(directory)
      error = await errorOf(() => ShardUnderTest.open({ directory, epoch: 2, ...options }))
    })
    return error
  }

  const nothing = (): Promise<void> => Promise.resolve()

  test.each<[string, string]>([
    ['the directory', '.'],
    ['the log', 'log'],
    ['the state', 'state'],
  ])('%s is gone → damage, never a new shard', async (_name, part) => {
    const error = await openError((directory) =>
      rm(join(directory, part), { recursive: true, force: true }),
    )
    expect(isDamage(error)).toBe(true)
  })

  test.each([
    ['another shard', { shard: 6 }],
    ['another cluster', { clusterId: 'cluster-2' }],
  ])('it is of %s → refused', async (_name, options) => {
    expect(isDamage(await openError(nothing, options))).toBe(true)
  })

  test('the state is no file of LMDB → damage, and the process lives', async () => {
    const error = await openError((directory) =>
      writeFile(join(directory, 'state', 'data.mdb'), Buffer.alloc(65_536, 'no state')),
    )
    expect(isDamage(error)).toBe(true)
  })

  test('the log ends before what the state has applied → damage', async () => {
    let error: unknown
    await inDirectory(async (root) => {
      const [older, newer] = [join(root, 'older'), join(root, 'newer')]
      for (const [directory, writes] of [[older, 1] as const, [newer, 3] as const]) {
        const under = await ShardUnderTest.open({ directory, create: true })
        for (let write = 0; write < writes; write += 1) await under.write(setCall('a', 'x'))
        await under.shard.apply()
        await under.shard.close()
      }
      const data = await readFile(join(newer, 'state', 'data.mdb'))
      await writeFile(join(older, 'state', 'data.mdb'), data)
      error = await errorOf(() => ShardUnderTest.open({ directory: older, epoch: 2 }))
    })
    expect(isDamage(error)).toBe(true)
  })

  test('a passing error → not damage, so that it is tried again', () => {
    expect(isDamage(new Error('EMFILE'))).toBe(false)
  })

  test('created again over what an unfinished creation left → a new, empty replica', () =>
    inDirectory(async (directory) => {
      await writeFile(join(directory, 'leftover'), 'x')
      const under = await ShardUnderTest.open({ directory, create: true })
      expect(under.shard.report()).toMatchObject({ keys: 0, revision: 1 })
      await expect(readFile(join(directory, 'leftover'))).rejects.toThrow('ENOENT')
      await under.shard.close()
    }))

  test.each([1, 0])('P5: epoch %i, when the log has reached epoch 1 → refused', async (epoch) => {
    expect(await openError(nothing, { epoch })).toMatchObject({
      message: `epoch ${epoch} is over: the log has reached epoch 1`,
    })
  })
})
