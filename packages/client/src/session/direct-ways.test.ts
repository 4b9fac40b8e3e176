import { shardOf } from '@kv/protocol'
import { expect, test } from 'vitest'
import type { FakeLink, FakeNode } from '../testing/fake-node.js'
import { DIRECT_PORT_MIN } from '../testing/fake-node.js'
import type { Harness } from '../testing/harness.js'
import { connectedHarness, harness, outcomeOf, settle } from '../testing/harness.js'

function listening(options: Parameters<typeof harness>[0] = {}): Harness {
  const made = harness({ direct: true, ...options })
  const { topology } = made.node
  const children = topology.children.map(({ id }) => ({ id, port: DIRECT_PORT_MIN + 50 + id }))
  made.node.topology = { ...topology, children }
  return made
}

function directLinks(node: FakeNode): FakeLink[] {
  return node.links.filter((link) => node.isDirect(link))
}

/** The line on which the newest batch came. */
function lineOf(node: FakeNode): string {
  return node.isDirect(node.batches.at(-1)!.link) ? 'direct' : 'relayed'
}

test('direct: true → every batch goes straight to the child, with the identity of the coordinator', async () => {
  const { kv, node } = listening()
  expect(await kv.set('a', 1)).toEqual({ ok: true, version: 1 })
  expect(await kv.get('a')).toBe(1)
  expect(node.batches.every(({ link }) => node.isDirect(link))).toBe(true)
  expect(directLinks(node)[0]!.hello?.clientId).toBe(node.links[0]!.clientId)
  await kv.close()
  expect(directLinks(node)[0]!.isOpen).toBe(false)
})

test("direct: 'auto' → a child is dialled once it has had some batches", async () => {
  const { kv, node } = listening({ direct: 'auto' })
  await kv.get('a')
  expect(directLinks(node)).toEqual([])
  for (let call = 0; call < 20; call += 1) await kv.get('a')
  await settle()
  await kv.get('a')
  expect(lineOf(node)).toBe('direct')
})

test('no child listens, or it is not to be → everything goes through the coordinator', async () => {
  for (const options of [{ direct: 'auto' }, { direct: false }] as const) {
    const { kv, node } = await connectedHarness(options)
    for (let call = 0; call < 40; call += 1) await kv.get('a')
    expect(node.links).toHaveLength(1)
  }
})

test('the child can not be reached → calls go on through the coordinator', async () => {
  const { kv, node } = listening({ direct: 'auto' })
  await kv.connect()
  node.isUp = false
  for (let call = 0; call < 40; call += 1) expect(await kv.get('a')).toBe(undefined)
  expect(lineOf(node)).toBe('relayed')
  expect(kv.status).toBe('ready')
})

test('somebody else listens where the child did → nothing is sent there', async () => {
  const { kv, node } = listening({ direct: 'auto' })
  await kv.connect()
  node.clusterId = 'another'
  for (let call = 0; call < 40; call += 1) expect(await kv.get('a')).toBe(undefined)
  expect(lineOf(node)).toBe('relayed')
})

test('somebody else listened where the child does since → it is tried again with the next topology', async () => {
  const { kv, node } = listening({ direct: 'auto' })
  await kv.connect()
  const { clusterId } = node
  node.clusterId = 'another'
  for (let call = 0; call < 40; call += 1) await kv.get('a')
  node.clusterId = clusterId
  node.topology = { ...node.topology, version: node.topology.version + 1 }
  node.tell()
  await settle()
  for (let call = 0; call < 40; call += 1) await kv.get('a')
  expect(lineOf(node)).toBe('direct')
})

test('the coordinator does not know the client any more → a write under way at a child is in doubt at once', async () => {
  const { kv, node, clock } = listening({ direct: 'auto' })
  await kv.connect()
  for (let call = 0; call < 20; call += 1) await kv.get('a')
  await settle()
  node.isHolding = true
  const write = kv.set('k', 1)
  const read = kv.get('a')
  await settle()
  expect(lineOf(node)).toBe('direct')
  node.dropHeld()
  node.isHolding = false
  node.forgetClients()
  node.link.close(1006)
  await settle()
  clock.advance(1_000)
  expect(await outcomeOf(write)).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
  expect(await read).toBe(undefined)
})

test('P4: the direct connection ends under writes → sent again in order, each executed once', async () => {
  const { kv, node } = listening({ direct: 'auto' })
  await kv.connect()
  for (let call = 0; call < 20; call += 1) await kv.get('a')
  await settle()
  node.isHolding = true
  const counted = [kv.increment('n'), kv.increment('n'), kv.set('k', 1), kv.set('k', 2)]
  await settle()
  const [link] = directLinks(node)
  expect(lineOf(node)).toBe('direct')
  node.loseReplies()
  node.isUp = false
  link!.close(1006)
  await settle()
  expect(await Promise.all(counted)).toMatchObject([{ value: 1 }, { value: 2 }, {}, {}])
  expect(lineOf(node)).toBe('relayed')
  expect(await kv.get('k')).toBe(2)
})

test('P4: writes under way when the direct connection is ready → sent again on it, once executed', async () => {
  const { kv, node } = listening({ direct: 'auto' })
  await kv.connect()
  for (let call = 0; call < 14; call += 1) await kv.get('a')
  node.isHolding = true
  const first = kv.increment('n')
  await settle()
  const second = kv.increment('n', 1, { timeout: 5_000 })
  await settle()
  node.loseReplies()
  const read = kv.get('b')
  await settle()
  expect(await Promise.all([first, second, read])).toMatchObject([
    { value: 1 },
    { value: 2 },
    undefined as never,
  ])
  expect(lineOf(node)).toBe('direct')
})

test('P7: sent again past the coordinator → the coordinator counts it until it has answered, and so does the client', async () => {
  const { kv, node } = listening({
    direct: 'auto',
    batchesBefore: 1,
    shards: 2,
    children: 2,
    limits: { inFlightBytesMax: 300 },
  })
  await kv.connect()
  const [one, two] = [0, 1].map((shard) => {
    return ['a', 'b', 'c', 'd', 'e'].find((key) => shardOf(key, 2) === shard)!
  })
  node.isHolding = true
  const value = 'x'.repeat(100)
  const writes = [kv.set(one!, value)]
  await settle()
  expect(lineOf(node)).toBe('direct')
  writes.push(kv.set(two!, value))
  await settle()
  expect(node.batches.map(({ batch }) => batch.child)).toEqual([1, 1])
  node.answer(node.batches[0]!)
  await settle()
  expect(node.batches.map(({ batch }) => batch.child).slice(0, 3)).toEqual([1, 1, 2])
  node.answerHeld()
  expect(await Promise.all(writes)).toMatchObject([{ ok: true }, { ok: true }])
})

test('the coordinator is gone, the child is not yet → what it was sent is answered', async () => {
  const { kv, node } = listening({ direct: 'auto' })
  await kv.connect()
  for (let call = 0; call < 20; call += 1) await kv.get('a')
  await settle()
  node.isHolding = true
  const write = kv.set('k', 1)
  await settle()
  node.links[0]!.close(1006)
  await settle()
  expect(kv.status).toBe('reconnecting')
  node.answerHeld()
  expect(await write).toEqual({ ok: true, version: 1 })
})

test('the child listens elsewhere after a restart → the new place is used', async () => {
  const { kv, node } = listening()
  await kv.set('a', 1)
  node.listen()
  await settle()
  expect(await kv.get('a')).toBe(1)
  expect(node.batches.at(-1)!.link).toBe(directLinks(node).at(-1))
  expect(directLinks(node)).toHaveLength(2)
})

test('direct: true and the child can not be reached → the call fails in time, and not before', async () => {
  const { kv, node, clock } = listening({ timeout: 1_000 })
  await kv.connect()
  node.isUp = false
  for (const link of directLinks(node)) link.close(1006)
  await settle()
  const read = kv.get('a')
  expect(await outcomeOf(read)).toBe('pending')
  clock.advance(1_000)
  expect(await outcomeOf(read)).toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringContaining(':7551') as string,
  })
})

test('direct: true and the child does not listen → the call fails in time, and says how it would not', async () => {
  const { kv, clock } = await connectedHarness({ direct: true, timeout: 1_000 })
  const read = kv.get('a')
  expect(await outcomeOf(read)).toBe('pending')
  clock.advance(1_000)
  expect(await outcomeOf(read)).toMatchObject({
    code: 'TIMEOUT',
    outcome: 'not-applied',
    message: expect.stringContaining(
      "child 1 takes no direct connection; direct: 'auto'",
    ) as string,
  })
})

test('TLS to the coordinator → no direct connection: a token must not travel in the clear', async () => {
  const { kv, node } = listening({ direct: 'auto', url: 'wss://fake' })
  for (let call = 0; call < 40; call += 1) await kv.get('a')
  expect(node.links).toHaveLength(1)
})
