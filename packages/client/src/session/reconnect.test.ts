import { CLOSE_CODES } from '@kv/protocol'
import { expect, test } from 'vitest'
import { DIAL_MS_MAX } from '../connection/connection.js'
import { PONG_MS_MAX, SILENCE_MS_MAX } from '../connection/liveness.js'
import { connectedHarness, harness, outcomeOf, settle } from '../testing/harness.js'
import { RESEND_MS_MAX } from './delivery.js'

test('connection lost: reads in flight → sent again after the reconnect', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const reads = [kv.get('a'), kv.has('b')]
  await settle()
  node.dropHeld()
  node.isHolding = false
  node.cut()
  await settle()
  expect(kv.status).toBe('reconnecting')
  clock.advance(25)
  expect(await Promise.all(reads)).toEqual([undefined, false])
  expect(kv.status).toBe('ready')
})

test('P4: connection lost, writes not executed → sent again with their numbers', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const write = kv.set('a', 1)
  const dependent = kv.get('a')
  await settle()
  node.dropHeld()
  node.isHolding = false
  node.cut()
  await settle()
  clock.advance(25)
  expect(await write).toEqual({ ok: true, version: 1 })
  expect(await dependent).toBe(1)
  const sent = node.batches.filter(({ kind }) => kind !== 'reads')
  expect(sent.map(({ kind }) => kind)).toEqual(['writes', 'resends'])
  expect(sent[1]!.sequences).toEqual(sent[0]!.sequences)
})

test('P4: replies lost with the connection → the retry gets the first results', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const counted = [kv.increment('a'), kv.increment('a')]
  await settle()
  node.loseReplies()
  node.cut()
  await settle()
  clock.advance(25)
  expect(await Promise.all(counted)).toMatchObject([{ value: 1 }, { value: 2 }])
  expect((await kv.increment('a')).value).toBe(3)
})

test('P4: the deadline comes before the next connection → TIMEOUT, unknown', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const write = kv.set('a', 1, { timeout: 1_000 })
  await settle()
  node.isUp = false
  node.cut()
  await settle()
  clock.advance(1_000)
  await expect(write).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
})

test('P4: a write → not sent again five minutes after the first time', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const write = kv.set('a', 1, { timeout: 2 * RESEND_MS_MAX })
  await settle()
  node.isUp = false
  node.cut()
  await settle()
  clock.advance(RESEND_MS_MAX)
  await expect(write).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
})

test('P4: the node gives another identity → what was in flight is UNAVAILABLE, unknown', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const lost = kv.set('a', 1)
  await settle()
  node.dropHeld()
  node.isHolding = false
  node.forgetClients()
  node.cut()
  await settle()
  const unsent = kv.set('b', 2)
  await settle()
  clock.advance(25)
  await expect(lost).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    outcome: 'unknown',
    message: expect.stringContaining('set of "a"'),
  })
  expect(await unsent).toEqual({ ok: true, version: 1 })
})

test('no connection: calls → wait for the reconnect and travel together', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.cut()
  await settle()
  const calls = [kv.set('a', 1)]
  await settle()
  calls.push(kv.set('b', 2))
  await settle()
  expect(node.batches).toHaveLength(0)
  clock.advance(25)
  await Promise.all(calls)
  expect(node.batches.map(({ calls }) => calls.length)).toEqual([2])
})

test('reconnect: HELLO → carries the identity of the connection before', async () => {
  const { kv, node, clock } = await connectedHarness({ token: 'secret', name: 'test' })
  expect(node.link.hello).toMatchObject({ clientId: 0, token: 'secret', name: 'test' })
  node.cut()
  await settle()
  clock.advance(25)
  await settle()
  expect(node.links).toHaveLength(2)
  expect(node.link.hello).toMatchObject({ clientId: 1, secret: Buffer.of(7, 7) })
  expect(kv.status).toBe('ready')
})

test('reconnect: failures in a row → waits double up to the bound, with jitter', async () => {
  const { kv, node, clock } = await connectedHarness({ random: () => 0.5 })
  const delays: number[] = []
  kv.on('reconnecting', ({ delayMs }) => delays.push(delayMs))
  node.isUp = false
  node.cut()
  for (let attempt = 0; attempt < 10; attempt += 1) {
    await settle()
    clock.advance(1_000)
  }
  await settle()
  expect(delays.slice(0, 9)).toEqual([12.5, 25, 50, 100, 200, 400, 800, 1_000, 1_000])
})

test('several hosts: one fails → the next is tried at once', async () => {
  const { kv, node } = harness({ url: 'kv://one:1,two:2' })
  const open = node.openTransport
  node.isUp = false
  const connected = kv.connect()
  await Promise.resolve()
  await Promise.resolve()
  node.isUp = true
  await connected
  expect(node.links.map(({ url }) => url)).toEqual(['ws://one:1/', 'ws://two:2/'])
  expect(open).toBe(node.openTransport)
})

test('connect: nobody listens → rejects at once, and the client is idle again', async () => {
  const { kv, node, clock } = harness()
  node.isUp = false
  await expect(kv.connect()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('cannot connect to ws://fake/'),
  })
  clock.advance(10_000)
  expect(kv.status).toBe('idle')
  expect(node.links).toHaveLength(1)
  node.isUp = true
  await kv.connect()
  expect(kv.status).toBe('ready')
})

test('connect: a host that never answers → the next is tried after a while', async () => {
  const { kv, node, clock } = harness({ url: ['kv://one', 'kv://two'] })
  node.isWelcoming = false
  const connected = kv.connect()
  await settle()
  node.isWelcoming = true
  clock.advance(DIAL_MS_MAX)
  await connected
  expect(node.links).toHaveLength(2)
})

test.each([
  [CLOSE_CODES.unauthenticated, 'UNAUTHENTICATED'],
  [CLOSE_CODES.forbidden, 'FORBIDDEN'],
])('closed with %i → everything rejects as %s, no more attempts', async (closeCode, code) => {
  const { kv, node, clock } = harness()
  node.isWelcoming = false
  const events: unknown[] = []
  kv.on('error', (error) => events.push(error.code))
  kv.on('end', ({ error }) => events.push(`end ${error?.code}`))
  const calls = [kv.connect(), kv.get('a'), kv.set('a', 1)]
  await settle()
  node.cut(closeCode, 'wrong token')
  for (const call of calls) {
    expect(await outcomeOf(call)).toMatchObject({ code, outcome: 'not-applied' })
  }
  expect(events).toEqual([code, `end ${code}`])
  expect(kv.status).toBe('closed')
  await expect(kv.get('b')).rejects.toMatchObject({ code })
  clock.advance(60_000)
  expect(node.links).toHaveLength(1)
  await kv.close()
})

test('failure before WELCOME: its code and text → reach the caller', async () => {
  const { kv, node } = harness()
  node.isWelcoming = false
  const connected = kv.connect()
  await settle()
  node.link.send({ type: 'failure', code: 16, message: 'too many connections' })
  await expect(connected).rejects.toMatchObject({
    code: 'OVERLOADED',
    message: expect.stringContaining('too many connections'),
  })
})

test('another version of the protocol → PROTOCOL, no more attempts', async () => {
  const { kv, node } = harness()
  node.isWelcoming = false
  const connected = kv.connect()
  await settle()
  node.link.send({
    type: 'welcome',
    protocolVersion: 9,
    clusterId: 'c',
    clientId: 1,
    secret: Uint8Array.of(1),
    limits: node.limits,
    topology: node.topology,
  })
  await expect(connected).rejects.toMatchObject({
    code: 'PROTOCOL',
    message: expect.stringContaining('speaks version 9'),
  })
  expect(kv.status).toBe('closed')
})

test('silence: an answer is due → ping, then the connection counts as lost', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  node.isAlive = false
  const read = kv.get('a', { timeout: 60_000 })
  await settle()
  clock.advance(SILENCE_MS_MAX)
  await settle()
  expect(node.link.pings).toBe(1)
  node.isHolding = false
  node.dropHeld()
  clock.advance(PONG_MS_MAX)
  await settle()
  expect(kv.status).toBe('reconnecting')
  clock.advance(25)
  expect(await read).toBeUndefined()
  expect(node.links).toHaveLength(2)
})

test('silence: the pong comes → the connection stays', async () => {
  const { kv, node, clock } = await connectedHarness()
  node.isHolding = true
  const read = kv.get('a', { timeout: 60_000 })
  for (let turn = 0; turn < 5; turn += 1) {
    await settle()
    clock.advance(SILENCE_MS_MAX)
  }
  await settle()
  expect(node.link.pings).toBeGreaterThan(1)
  node.answerHeld()
  expect(await read).toBeUndefined()
  expect(node.links).toHaveLength(1)
})

test('silence: nothing is due → no ping', async () => {
  const { node, clock } = await connectedHarness()
  for (let turn = 0; turn < 5; turn += 1) {
    clock.advance(SILENCE_MS_MAX)
    await settle()
  }
  expect(node.link.pings).toBe(0)
})

test('events: ready, topology, reconnecting → in order; off takes a listener off', async () => {
  const { kv, node, clock } = harness()
  const events: string[] = []
  kv.on('ready', () => events.push('ready'))
  kv.on('topology', ({ version }) => events.push(`topology ${version}`))
  kv.on('reconnecting', ({ attempt }) => events.push(`reconnecting ${attempt}`))
  const off = kv.on('end', () => events.push('end'))
  await kv.connect()
  node.cut()
  await settle()
  clock.advance(25)
  await settle()
  off()
  await kv.close()
  expect(events).toEqual(['topology 1', 'ready', 'reconnecting 1', 'ready'])
})
