/** `consistency: 'replica'`: where such reads go, and what becomes of those that a backup refuses. */
import { ERROR_RULES, shardOf } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { Harness, HarnessOptions } from '../testing/harness.js'
import { connectedHarness, settle } from '../testing/harness.js'
import { PATIENCE_MS } from './outbox.js'
import { REST_MS } from './spread.js'

const REPLICA = { consistency: 'replica' } as const

/** Every shard has a copy in sync on each child. */
async function copiedHarness(options: HarnessOptions = {}): Promise<Harness> {
  const made = await connectedHarness({ shards: 4, children: 2, ...options })
  const { node } = made
  const children = node.topology.children.map(({ id }) => id)
  const byShard = node.topology.primaries.map((primary) =>
    children.filter((child) => child !== primary),
  )
  node.back(Object.fromEntries(byShard.entries()))
  await settle()
  return made
}

function keyIn(shard: number, name: string = 'k'): string {
  for (let index = 0; ; index += 1) {
    const key = `${name}-${index}`
    if (shardOf(key, 4) === shard) return key
  }
}

/** Of each batch: its kind, its child and how many calls it had. */
function seen({ node }: Harness): [string, number, number][] {
  return node.batches.map(({ kind, batch, calls }) => [kind, batch.child, calls.length])
}

describe('replica reads: where they go', () => {
  test('one after the other → each copy in turn, and never among writes or other reads', async () => {
    const made = await copiedHarness()
    const key = keyIn(0)
    for (let turn = 0; turn < 4; turn += 1) await made.kv.get(key, REPLICA)
    await made.kv.get(key)
    expect(seen(made)).toEqual([
      ['replicaReads', 2, 1],
      ['replicaReads', 1, 1],
      ['replicaReads', 2, 1],
      ['replicaReads', 1, 1],
      ['reads', 1, 1],
    ])
  })

  test('those of one shard in one turn → travel together', async () => {
    const made = await copiedHarness()
    const keys = Array.from({ length: 10 }, (_, index) => `{a}${index}`)
    await Promise.all(keys.map((key) => made.kv.get(key, REPLICA)))
    expect(seen(made)).toEqual([['replicaReads', expect.any(Number), 10]])
  })

  test('many keys of all shards → about half of the calls for each of two children', async () => {
    const made = await copiedHarness()
    const keys = Array.from({ length: 400 }, (_, index) => `key-${index}`)
    await made.kv.getMany(keys, REPLICA)
    const counts = seen(made).map(([, , count]) => count)
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(400)
    expect(Math.min(...counts)).toBeGreaterThan(150)
  })

  test('a child that does not answer → is asked no more while the other does', async () => {
    const made = await copiedHarness()
    const { node, kv, clock } = made
    node.isHolding = true
    const stuck = kv.getMany(['{a}1', '{a}2', '{a}3'], REPLICA)
    await settle()
    const slow = seen(made)[0]![1]
    node.isHolding = false
    for (let turn = 0; turn < 3; turn += 1) await kv.get('{a}4', REPLICA)
    expect(
      seen(made)
        .slice(1)
        .map(([, child]) => child),
    ).toEqual([3 - slow, 3 - slow, 3 - slow])
    clock.advance(PATIENCE_MS)
    node.answerHeld()
    expect(await stuck).toEqual([undefined, undefined, undefined])
  })

  test('no shard has a backup → travel with other reads', async () => {
    const made = await connectedHarness({ shards: 4 })
    await Promise.all([made.kv.get('a', REPLICA), made.kv.get('b')])
    expect(seen(made)).toEqual([['reads', 1, 2]])
  })

  test('a read of a key with an unanswered write → does not wait for the write', async () => {
    const made = await copiedHarness()
    made.node.isHolding = true
    const write = made.kv.set('a', 1)
    const read = made.kv.get('a', REPLICA)
    const count = made.kv.count({ prefix: '{a}', ...REPLICA })
    await settle()
    expect(made.node.batches.find(({ kind }) => kind === 'writes')!.calls).toHaveLength(1)
    made.node.answerHeld()
    await Promise.all([write, read, count])
  })

  test('every call that reads → may be a replica read', async () => {
    const made = await copiedHarness()
    const { kv } = made
    await kv.set('a', 1)
    made.node.batches.length = 0
    expect(
      await Promise.all([
        kv.get('a', REPLICA),
        kv.getEntry('a', REPLICA),
        kv.getMany(['a'], REPLICA),
        kv.getEntries(['a'], REPLICA),
        kv.has('a', REPLICA),
        kv.hasMany(['a'], REPLICA),
        kv.list(REPLICA).toArray(),
        kv.keys(REPLICA).toArray(),
        kv.count(REPLICA),
      ]),
    ).toMatchObject([1, { value: 1 }, [1], [{ value: 1 }], true, [true], [{ value: 1 }], ['a'], 1])
    expect(new Set(seen(made).map(([kind]) => kind))).toEqual(new Set(['replicaReads']))
  })
})

describe('replica reads: what a backup refuses', () => {
  test('MOVED → the primary answers at once, and alone for a while', async () => {
    const made = await copiedHarness()
    const { kv, node, clock } = made
    node.areBackupsInSync = false
    const key = keyIn(0)
    await kv.set(key, 'new')
    node.batches.length = 0
    for (let turn = 0; turn < 3; turn += 1) expect(await kv.get(key, REPLICA)).toBe('new')
    expect(seen(made).filter(([, child]) => child === 2)).toHaveLength(1)
    node.areBackupsInSync = true
    node.batches.length = 0
    clock.advance(REST_MS)
    for (let turn = 0; turn < 3; turn += 1) await kv.get(key, REPLICA)
    expect(seen(made)).toContainEqual(['replicaReads', 2, 1])
  })

  test('MOVED → writes and other reads of the shard are not held up', async () => {
    const made = await copiedHarness()
    const { kv, node } = made
    node.areBackupsInSync = false
    const key = keyIn(0)
    const read = kv.get(key, REPLICA)
    await settle()
    await kv.set(key, 1)
    await read
    expect(node.batches.filter(({ kind }) => kind === 'writes')).toHaveLength(1)
  })

  test('a newer topology → its copies are asked again at once', async () => {
    const made = await copiedHarness()
    const { kv, node } = made
    const key = keyIn(0)
    node.areBackupsInSync = false
    await kv.get(key, REPLICA)
    node.areBackupsInSync = true
    node.back({ 0: [2] })
    await settle()
    node.batches.length = 0
    await kv.get(key, REPLICA)
    await kv.get(key, REPLICA)
    expect(
      seen(made)
        .map(([, child]) => child)
        .toSorted((left, right) => left - right),
    ).toEqual([1, 2])
  })

  test('the child is gone → the primary answers', async () => {
    const made = await copiedHarness()
    const { kv, node } = made
    const key = keyIn(0)
    node.isHolding = true
    const read = kv.get(key, REPLICA)
    await settle()
    expect(seen(made)).toEqual([['replicaReads', 2, 1]])
    node.dropHeld()
    node.isHolding = false
    const { wire: code } = ERROR_RULES.UNAVAILABLE
    const batchId = node.batches[0]!.batch.id
    node.link.send({ type: 'refused', batchId, code, outcome: 2, message: 'it died' })
    expect(await read).toBeUndefined()
    expect(seen(made).at(-1)).toEqual(['reads', 1, 1])
  })

  test('the connection breaks → asked again on the next', async () => {
    const made = await copiedHarness()
    const { kv, node, clock } = made
    node.isHolding = true
    const read = kv.get(keyIn(0), REPLICA)
    await settle()
    node.dropHeld()
    node.isHolding = false
    node.cut()
    await settle()
    clock.advance(1_000)
    expect(await read).toBeUndefined()
  })

  test('fewer copies than before in the middle of a turn → goes where one is', async () => {
    const made = await copiedHarness({ children: 3 })
    const { kv, node } = made
    const key = keyIn(0)
    node.isHolding = true
    const reads = [kv.get(key, REPLICA)]
    await settle()
    reads.push(kv.get(key, REPLICA))
    node.back({})
    await settle()
    node.answerHeld()
    expect(await Promise.all(reads)).toEqual([undefined, undefined])
  })
})
