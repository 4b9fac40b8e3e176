import type { Call } from '@kv/protocol'
import { ERROR_RULES, FORGOTTEN, MOVED, shardOf } from '@kv/protocol'
import { expect, test } from 'vitest'
import type { FakeNode, ReceivedBatch } from '../testing/fake-node.js'
import { connectedHarness, outcomeOf, settle } from '../testing/harness.js'

/** A key of the shard, with a name of its own. */
function keyIn(shard: number, shardCount: number, name: string = 'k'): string {
  for (let index = 0; ; index += 1) {
    const key = `${name}-${index}`
    if (shardOf(key, shardCount) === shard) return key
  }
}

function valuesSet(node: FakeNode, child: number): unknown[] {
  return node.batches
    .filter(({ batch }) => batch.child === child)
    .flatMap(({ calls }) => calls.filter(isSet).map(({ source, start }) => source[start]))
}

function isSet(call: Call): call is Extract<Call, { type: 'set' }> {
  return call.type === 'set'
}

test('topology: a newer one arrives → calls go to the new primary at once', async () => {
  const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
  const key = keyIn(0, 2)
  node.move({ 0: 2 })
  await settle()
  await kv.set(key, 1)
  expect(node.batches).toHaveLength(1)
  expect(node.batches[0]!.batch).toMatchObject({ child: 2, topologyVersion: 2 })
})

test('topology: one of a lower version arrives → is ignored', async () => {
  const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
  const old = node.topology
  node.move({ 0: 2 })
  await settle()
  node.link.send({ type: 'topology', topology: { ...old, primaries: [1, 1] } })
  await settle()
  await kv.get(keyIn(0, 2))
  expect(node.batches[0]!.batch.child).toBe(2)
})

test('no primary: calls of the shard → wait for one, in order; other shards go on', async () => {
  const { kv, node } = await connectedHarness({ shards: 2 })
  node.orphan(0)
  await settle()
  const key = keyIn(0, 2)
  const calls = [kv.set(key, 1), kv.get(key), kv.set(key, 2), kv.get(key)]
  await kv.set(keyIn(1, 2), 1)
  expect(node.batches).toHaveLength(1)
  node.move({ 0: 1 })
  expect((await Promise.all(calls))[1]).toBe(1)
  expect((await Promise.all(calls))[3]).toBe(2)
  expect(node.batches).toHaveLength(2)
})

test('MOVED: read and write → sent again under the next topology, write keeps its number', async () => {
  const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
  const key = keyIn(0, 2)
  node.move({ 0: 2 }, false)
  const read = kv.get(keyIn(0, 2, 'other'))
  const write = kv.set(key, 1)
  await settle()
  expect(node.batches).toHaveLength(2)
  node.tell()
  expect(await write).toEqual({ ok: true, version: 1 })
  expect(await read).toBeUndefined()
  const [, first, ...again] = node.batches
  expect(first!.sequences).toEqual([1])
  const resent = again.find(({ kind }) => kind === 'resends')!
  expect(resent).toMatchObject({ sequences: [1], batch: { child: 2, topologyVersion: 2 } })
  expect(resent.calls[0]).toMatchObject({ type: 'set', key })
})

test('P4: MOVED to some calls of a mixed batch → only these are sent again, each with its number', async () => {
  const { kv, node } = await connectedHarness({ shards: 4, children: 2 })
  node.move({ 0: 2 }, false)
  const keys = ['a', 'b'].flatMap((name) => [keyIn(0, 4, name), keyIn(2, 4, name)])
  const writes = keys.map((key) => kv.increment(key))
  await settle()
  node.tell()
  expect((await Promise.all(writes)).map(({ value }) => value)).toEqual([1, 1, 1, 1])
  const [mixed, resent] = node.batches
  expect(mixed).toMatchObject({ kind: 'writes', sequences: [1, 2, 3, 4], batch: { child: 1 } })
  expect(resent).toMatchObject({ kind: 'resends', sequences: [1, 3], batch: { child: 2 } })
  expect(node.batches).toHaveLength(2)
})

test('MOVED: a newer topology is already known → sent again at once', async () => {
  const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
  const key = keyIn(0, 2)
  node.isHolding = true
  const read = kv.get(key)
  await settle()
  node.move({ 0: 2 })
  await settle()
  node.answerHeld()
  expect(await read).toBeUndefined()
  expect(node.batches.map(({ batch }) => batch.child)).toEqual([1, 2])
})

test('MOVED: writes made meanwhile → stay behind, and effects are in call order', async () => {
  const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
  const key = keyIn(0, 2)
  node.move({ 0: 2 }, false)
  const writes = [kv.set(key, 1), kv.set(key, 2)]
  await settle()
  writes.push(kv.set(key, 3))
  const read = kv.get(key)
  const other = kv.set(keyIn(1, 2), 9)
  await other
  node.tell()
  expect(await read).toBe(3)
  expect((await Promise.all(writes)).map(({ version }) => version)).toEqual([2, 3, 4])
  expect(valuesSet(node, 2)).toEqual([9, 1, 2, 3])
})

test('move with writes in flight: later writes → wait until those have come back', async () => {
  const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
  const key = keyIn(0, 2)
  node.isHolding = true
  const first = kv.set(key, 1)
  await settle()
  node.move({ 0: 2 })
  await settle()
  const second = kv.set(key, 2)
  await settle()
  // Sent to the new primary now, it could overtake the first, which may come back as MOVED.
  expect(node.batches).toHaveLength(1)
  node.answerHeld()
  const versions = [await first, await second].map(({ version }) => version)
  expect(versions).toEqual([1, 2])
  expect(valuesSet(node, 2)).toEqual([1, 2])
})

test('MOVED of one batch while the next waits for room → order holds', async () => {
  const limits = { inFlightBytesMax: 1 }
  const { kv, node } = await connectedHarness({ shards: 1, children: 2, limits })
  node.move({ 0: 2 }, false)
  const writes = [kv.set('a', 1)]
  await settle()
  node.isHolding = true
  // Under way to the old primary when the topology changes: one batch sent, one waiting.
  for (const value of [2, 3, 4]) {
    writes.push(kv.set('a', value))
    await settle()
  }
  node.tell()
  await settle()
  node.answerHeld()
  await Promise.all(writes)
  expect(valuesSet(node, 2)).toEqual([1, 2, 3, 4])
})

test('MOVED as the answer to a whole batch → its calls wait for the next topology', async () => {
  const { kv, node } = await connectedHarness({ shards: 2 })
  node.isHolding = true
  const calls = [kv.set('a', 1), kv.set('b', 2)]
  await settle()
  refuse(node, node.batches[0]!, MOVED)
  node.isHolding = false
  node.dropHeld()
  expect(await outcomeOf(calls[0]!)).toBe('pending')
  node.move({ 0: 1, 1: 1 })
  expect(await Promise.all(calls)).toMatchObject([{ ok: true }, { ok: true }])
})

test('UNAVAILABLE: reads → sent again after a while under the same topology', async () => {
  const { kv, node, clock } = await connectedHarness({ shards: 2 })
  node.isHolding = true
  const read = kv.get('a')
  await settle()
  refuse(node, node.batches[0]!, ERROR_RULES.UNAVAILABLE.wire)
  node.isHolding = false
  node.dropHeld()
  expect(await outcomeOf(read)).toBe('pending')
  expect(node.batches).toHaveLength(1)
  clock.advance(25)
  expect(await read).toBeUndefined()
})

test('UNAVAILABLE: reads → sent again with the next topology', async () => {
  const { kv, node } = await connectedHarness({ shards: 2 })
  node.faultOf = () => ({
    code: ERROR_RULES.UNAVAILABLE.wire,
    outcome: 'not-applied',
    message: 'no',
  })
  const read = kv.get('a')
  await settle()
  expect(node.batches).toHaveLength(1)
  node.faultOf = () => undefined
  node.move({ 0: 1 })
  expect(await read).toBeUndefined()
})

test('P4: UNAVAILABLE, unknown: writes → sent again, before those made meanwhile', async () => {
  const { kv, node, clock } = await connectedHarness({ shards: 2 })
  node.isHolding = true
  const writes = [kv.set('a', 1)]
  await settle()
  node.loseReplies()
  refuse(node, node.batches[0]!, ERROR_RULES.UNAVAILABLE.wire, UNKNOWN)
  await settle()
  writes.push(kv.set('a', 2))
  expect(await outcomeOf(writes[1]!)).toBe('pending')
  clock.advance(25)
  expect(await Promise.all(writes)).toMatchObject([{ version: 1 }, { version: 2 }])
  expect(node.batches.map(({ kind }) => kind)).toEqual(['writes', 'resends', 'writes'])
  expect(await kv.get('a')).toBe(2)
})

test('UNAVAILABLE, not applied: writes → reject with the outcome that the node says', async () => {
  const { kv, node } = await connectedHarness({ shards: 2 })
  node.isHolding = true
  const write = kv.set('a', 1)
  await settle()
  refuse(node, node.batches[0]!, ERROR_RULES.UNAVAILABLE.wire)
  await expect(write).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    outcome: 'not-applied',
    retryable: true,
    message: expect.stringContaining('set of "a"'),
  })
})

test.each([
  ['OVERLOADED', ERROR_RULES.OVERLOADED.wire],
  ['UNAVAILABLE', FORGOTTEN],
])('P4: %s to a write sent again, whose first end nobody knows → unknown', async (code, wire) => {
  const { kv, node, clock } = await connectedHarness({ shards: 2 })
  node.isHolding = true
  const write = kv.set('a', 1)
  await settle()
  refuse(node, node.batches[0]!, ERROR_RULES.UNAVAILABLE.wire, UNKNOWN)
  await settle()
  clock.advance(25)
  await settle()
  refuse(node, node.batches[1]!, wire, wire === FORGOTTEN ? UNKNOWN : undefined)
  await expect(write).rejects.toMatchObject({ code, outcome: 'unknown' })
})

test('P4: forgotten, but it was only sent where it was not executed → not applied', async () => {
  const { kv, node } = await connectedHarness({ shards: 2, children: 2 })
  node.isHolding = true
  const write = kv.set(keyIn(0, 2), 1)
  await settle()
  refuse(node, node.batches[0]!, MOVED)
  node.move({ 0: 2 })
  await settle()
  refuse(node, node.batches[1]!, FORGOTTEN, UNKNOWN)
  await expect(write).rejects.toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
})

test('OVERLOADED: reads and writes → reject, not applied', async () => {
  const { kv, node } = await connectedHarness()
  node.isHolding = true
  const calls = [kv.get('a'), kv.set('b', 1)]
  await settle()
  for (const batch of node.batches) refuse(node, batch, ERROR_RULES.OVERLOADED.wire)
  for (const call of calls) {
    await expect(call).rejects.toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied' })
  }
})

test('another cluster after a reconnect: unsent calls → routed by its topology', async () => {
  const { kv, node, clock } = await connectedHarness({ shards: 4 })
  node.orphan(0)
  await settle()
  const write = kv.set(keyIn(0, 4), 1)
  await settle()
  node.become('another', {
    version: 1,
    shardCount: 1,
    children: [{ id: 7, port: 0 }],
    primaries: [7],
    epochs: [1],
    backups: [],
  })
  node.cut()
  await settle()
  clock.advance(1_000)
  await settle()
  expect(node.batches.map(({ batch }) => batch.child)).toEqual([7])
  expect(await write).toEqual({ ok: true, version: 1 })
})

/** As a number on the wire. */
const UNKNOWN = 2

function refuse(node: FakeNode, { batch }: ReceivedBatch, code: number, outcome: number = 1): void {
  node.link.send({ type: 'refused', batchId: batch.id, code, outcome, message: 'refused' })
}
