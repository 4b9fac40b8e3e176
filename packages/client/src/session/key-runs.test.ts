import { ERROR_RULES, MOVED, shardOf, WireWriter, writeFullReplyHead } from '@kv/protocol'
import { expect, test } from 'vitest'
import type { FakeNode } from '../testing/fake-node.js'
import { connectedHarness, harness, outcomeOf, settle } from '../testing/harness.js'

const KEYS = Array.from({ length: 8 }, (_, index) => `key-${index}`)
const REPLICA = { consistency: 'replica' } as const

function keysSent(node: FakeNode): (string | undefined)[][] {
  return node.batches.map(({ calls }) =>
    calls.map((call) => ('key' in call ? call.key : undefined)),
  )
}

/** Keys under which their own names are, and a client that has sent nothing but that. */
async function filled(options: Parameters<typeof harness>[0] = {}) {
  const made = await connectedHarness({ shards: 1, ...options })
  await made.kv.setMany(KEYS.map((key) => [key, key]))
  made.node.batches.length = 0
  return made
}

test('getMany, getEntries, hasMany: many keys, any order, twice the same → results in that order', async () => {
  const { kv, node } = await filled({ shards: 4, children: 2 })
  const asked = [...KEYS, 'nothing', ...KEYS.toReversed()]
  const found = [...KEYS, undefined, ...KEYS.toReversed()]
  const reads = [kv.getMany(asked), kv.getEntries(asked), kv.hasMany(asked)] as const
  expect(await reads[0]).toEqual(found)
  expect(await reads[1]).toMatchObject(
    found.map((key) => (key === undefined ? undefined : { key, value: key })),
  )
  expect(await reads[2]).toEqual(found.map((key) => key !== undefined))
  expect(node.batches).toHaveLength(2)
})

test('getMany: before the first topology is known → waits for it, then travels by child', async () => {
  const { kv, node } = harness({ shards: 4, children: 2 })
  const read = kv.getMany(KEYS)
  await settle()
  expect(await read).toEqual(KEYS.map(() => undefined))
  expect(
    node.batches.map(({ batch }) => batch.child).toSorted((one, other) => one - other),
  ).toEqual([1, 2])
})

test('getMany: one key is MOVED → that one is asked again, the others are not', async () => {
  const { kv, node } = await filled({ shards: 2, children: 2 })
  const moved = KEYS.find((key) => shardOf(key, 2) === 0)!
  node.faultOf = (call, { topologyVersion }) =>
    'key' in call && call.key === moved && topologyVersion === 1
      ? { code: MOVED, outcome: 'not-applied', message: '' }
      : undefined
  const read = kv.getMany(KEYS)
  await settle()
  node.move({ 0: 2 })
  expect(await read).toEqual(KEYS)
  expect(keysSent(node).slice(2)).toEqual([[moved]])
})

test('getMany: the child dies → what it had not answered is asked elsewhere', async () => {
  const { kv, node } = await filled()
  node.isHolding = true
  const read = kv.getMany(KEYS)
  await settle()
  node.answerPart(node.batches[0]!, [5, 0, 6], false)
  await settle()
  node.die(false)
  await settle()
  expect(await read).toEqual(KEYS)
  expect(keysSent(node)[1]).toEqual(KEYS.filter((_, index) => ![0, 5, 6].includes(index)))
})

test('getMany: the connection is lost → what is unanswered is asked by the next one', async () => {
  const { kv, node, clock } = await filled()
  node.isHolding = true
  const read = kv.getMany(KEYS)
  const entries = kv.getEntries(KEYS)
  await settle()
  node.answerPart(node.batches[0]!, [9, 1], false)
  await settle()
  node.dropHeld()
  node.isHolding = false
  node.cut()
  await settle()
  clock.advance(1_000)
  await settle()
  expect(await read).toEqual(KEYS)
  expect(await entries).toMatchObject(KEYS.map((key) => ({ key, value: key })))
  expect(keysSent(node)[1]).toEqual([...KEYS.toSpliced(1, 1), ...KEYS.toSpliced(1, 1)])
})

test('getMany: shards move before it is sent → its keys go different ways', async () => {
  const { kv, node } = await filled({ shards: 2, children: 2, limits: { inFlightBytesMax: 60 } })
  node.move({ 0: 1, 1: 1 })
  await settle()
  node.isHolding = true
  const first = kv.get('x'.repeat(50))
  await settle()
  const read = kv.getMany(KEYS)
  await settle()
  expect(node.batches).toHaveLength(1)
  node.move({ 1: 2 })
  await settle()
  node.answerHeld()
  expect(await read).toEqual(KEYS)
  await first
  const second = KEYS.filter((key) => shardOf(key, 2) === 1)
  expect(node.batches.find(({ batch }) => batch.child === 2)!.calls).toMatchObject(
    second.map((key) => ({ type: 'get', key })),
  )
})

test('getMany: a backup refuses → the primary is asked for its keys', async () => {
  const { kv, node } = await filled({ shards: 1, children: 2 })
  node.back({ 0: [2] })
  await settle()
  node.areBackupsInSync = false
  expect(await kv.getMany(KEYS, REPLICA)).toEqual(KEYS)
})

test('getMany: a fault that does not pass → its error, with the key it is about', async () => {
  const { kv, node } = await filled()
  const { wire: code } = ERROR_RULES.FORBIDDEN
  node.faultOf = (call) =>
    'key' in call && call.key === KEYS[3]
      ? { code, outcome: 'not-applied', message: 'not yours' }
      : undefined
  await expect(kv.getMany(KEYS)).rejects.toMatchObject({
    code: 'FORBIDDEN',
    message: `get of "${KEYS[3]}": not yours`,
  })
  expect(await kv.get(KEYS[0]!)).toBe(KEYS[0])
})

test('getMany: a value that can not be read → INVALID_VALUE, with its key', async () => {
  const { kv, node } = await filled()
  node.isHolding = true
  const read = kv.getMany(['a', 'b', 'c'])
  await settle()
  node.dropHeld()
  const body = new WireWriter()
  writeFullReplyHead(body, 3)
  for (const byte of [1, 0xc1, 1]) body.binary(Uint8Array.of(byte))
  const { id: batchId } = node.batches[0]!.batch
  node.link.send({ type: 'reply', batchId, final: true, body: body.written() })
  const error = await outcomeOf(read)
  expect(error).toMatchObject({ code: 'INVALID_VALUE' })
  expect((error as Error).message).toContain('under "b"')
})

test('getMany: time is over → TIMEOUT with a key that is missing; the next call is answered', async () => {
  const { kv, node, clock } = await filled()
  node.isHolding = true
  const read = kv.getMany(KEYS, { timeout: 100 })
  await settle()
  node.answerPart(node.batches[0]!, [0, 1], false)
  await settle()
  clock.advance(101)
  expect(await outcomeOf(read)).toMatchObject({
    code: 'TIMEOUT',
    message: `get of "${KEYS[2]}" got no answer in time; it had no effect`,
  })
  node.answerHeld()
  expect(await kv.getMany(KEYS)).toEqual(KEYS)
})

test('getMany: aborted before it is sent → is not; room in the queue is given back', async () => {
  const { kv, node } = await filled({ queueCallsMax: KEYS.length })
  const controller = new AbortController()
  const read = kv.getMany(KEYS, { signal: controller.signal })
  controller.abort()
  expect(await outcomeOf(read)).toMatchObject({ name: 'AbortError' })
  expect(await kv.getMany(KEYS)).toEqual(KEYS)
  expect(node.batches).toHaveLength(1)
})

test('getMany: aborted while it waits to be sent again → is not sent again', async () => {
  const { kv, node } = await filled()
  node.orphan(0, false)
  const controller = new AbortController()
  const read = kv.getMany(KEYS, { signal: controller.signal })
  await settle()
  controller.abort()
  expect(await outcomeOf(read)).toMatchObject({ name: 'AbortError' })
  node.move({ 0: 1 })
  await settle()
  expect(await kv.get(KEYS[0]!)).toBe(KEYS[0])
  expect(keysSent(node)).toEqual([KEYS, [KEYS[0]]])
})

test('getMany: a key that is being written → is read behind the write, the others are not', async () => {
  const { kv, node } = await filled()
  const write = kv.set(KEYS[0]!, 'new')
  expect(await kv.getMany(KEYS.slice(0, 3))).toEqual(['new', KEYS[1], KEYS[2]])
  await write
  expect(node.batches.map(({ kind, calls }) => [kind, calls.length])).toEqual([
    ['reads', 2],
    ['writes', 2],
  ])
})
