import assert from 'node:assert/strict'
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { decodeClientMessage, decodeNodeMessage, encodeMessage } from './codec.js'
import { KvError } from './errors.js'
import { ERROR_TEXT_BYTES_MAX, MESSAGE_BYTES_MAX } from './limits.js'
import type { ClientMessage, Message, NodeMessage } from './messages.js'
import { MESSAGE_TAGS } from './messages.js'
import type { Topology } from './topology.js'

const count = fc.maxSafeNat()
const text = fc.string({ unit: 'binary', maxLength: 40 })
const bytes = fc.uint8Array({ maxLength: 40 })

const topologies: fc.Arbitrary<Topology> = fc.nat({ max: 5 }).chain((power) => {
  const shardCount = 2 ** power
  const byShard = fc.array(count, { minLength: shardCount, maxLength: shardCount })
  return fc.record({
    version: count,
    shardCount: fc.constant(shardCount),
    children: fc.array(fc.record({ id: count, port: fc.nat({ max: 65_535 }) }), { maxLength: 5 }),
    primaries: byShard,
    epochs: byShard,
    backups: fc.oneof(
      fc.constant([]),
      fc.array(fc.array(count, { maxLength: 3 }), { minLength: shardCount, maxLength: shardCount }),
    ),
  })
})

const clientMessages: { [Type in ClientMessage['type']]: fc.Arbitrary<ClientMessage> } = {
  hello: fc.record({
    type: fc.constant('hello'),
    protocolVersion: count,
    clientId: count,
    secret: bytes,
    token: text,
    name: text,
  }),
  batch: fc.record({
    type: fc.constant('batch'),
    id: count,
    child: count,
    topologyVersion: count,
    remainingMs: count,
    body: bytes,
  }),
  ping: fc.record({ type: fc.constant('ping'), nonce: count }),
  watch: fc.record({ type: fc.constant('watch'), id: count, child: count, body: bytes }),
  credit: fc.record({ type: fc.constant('credit'), child: count, body: bytes }),
  unwatch: fc.record({ type: fc.constant('unwatch'), child: count, body: bytes }),
}

const nodeMessages: { [Type in NodeMessage['type']]: fc.Arbitrary<NodeMessage> } = {
  welcome: fc.record({
    type: fc.constant('welcome'),
    protocolVersion: count,
    clusterId: fc.string({ maxLength: 64 }),
    clientId: count,
    secret: bytes,
    limits: fc.record({ valueBytesMax: count, messageBytesMax: count, inFlightBytesMax: count }),
    topology: topologies,
  }),
  topology: fc.record({ type: fc.constant('topology'), topology: topologies }),
  reply: fc.record({
    type: fc.constant('reply'),
    batchId: count,
    final: fc.boolean(),
    body: bytes,
  }),
  refused: fc.record({
    type: fc.constant('refused'),
    batchId: count,
    code: count,
    outcome: count,
    message: text,
  }),
  pong: fc.record({ type: fc.constant('pong'), nonce: count }),
  failure: fc.record({ type: fc.constant('failure'), code: count, message: text }),
  event: fc.record({ type: fc.constant('event'), child: count, body: bytes }),
  unwatched: fc.record({ type: fc.constant('unwatched'), child: count, id: count }),
}

const anyClientMessage = fc.oneof(...Object.values(clientMessages))
const anyNodeMessage = fc.oneof(...Object.values(nodeMessages))
const decoders = [decodeClientMessage, decodeNodeMessage]

function encode(message: Message): Uint8Array {
  return Uint8Array.from(encodeMessage(message))
}

function decode(message: Message, encoded: Uint8Array): Message {
  return message.type in clientMessages ? decodeClientMessage(encoded) : decodeNodeMessage(encoded)
}

/** Bytes come as views of the message; compared by content. */
function plain(message: object): unknown {
  return Object.fromEntries(
    Object.entries(message).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? Array.from(value) : value,
    ]),
  )
}

/** Whether the bytes are accepted; rethrows any error that is not `PROTOCOL`. */
function isAccepted(decoder: (encoded: Uint8Array) => Message, encoded: Uint8Array): boolean {
  try {
    decoder(encoded)
    return true
  } catch (error) {
    if (error instanceof KvError && error.code === 'PROTOCOL') return false
    throw error
  }
}

function accepts(decoder: (encoded: Uint8Array) => Message, hex: string): boolean {
  return isAccepted(decoder, Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

describe('codec: whole messages', () => {
  const all = { ...clientMessages, ...nodeMessages }

  test('codec: every type of message → has a number and a test', () => {
    expect(Object.keys(all).toSorted()).toEqual(Object.keys(MESSAGE_TAGS).toSorted())
  })

  test('codec: numbers → unique, below 64 from clients, from 64 on from nodes', () => {
    const tags = Object.entries(MESSAGE_TAGS)
    expect(new Set(tags.map(([, tag]) => tag)).size).toBe(tags.length)
    for (const [type, tag] of tags) expect(tag < 64).toBe(type in clientMessages)
  })

  test.each(Object.entries(all))('codec: any %s → comes back', (_, messages) => {
    fc.assert(
      fc.property(messages, (message) => {
        expect(plain(decode(message, encode(message)))).toEqual(plain(message))
      }),
    )
  })

  test('codec: any message → plain MessagePack, with its number first', () => {
    fc.assert(
      fc.property(fc.oneof(anyClientMessage, anyNodeMessage), (message) => {
        const fields = unpack(encode(message)) as unknown[]
        expect(fields[0]).toBe(MESSAGE_TAGS[message.type])
        expect(fields.length).toBe('topology' in message ? fields.length : keysOf(message))
      }),
    )
  })

  /** Every field of these messages is one item, the type is the number. */
  function keysOf(message: Message): number {
    return Object.keys(message).length
  }

  test('codec: a welcome → the structure that another decoder of MessagePack sees', () => {
    const topology = {
      version: 7,
      shardCount: 2,
      children: [{ id: 1, port: 7_401 }],
      primaries: [1, 0],
      epochs: [3, 4],
      backups: [[2, 3], []],
    }
    const limits = { valueBytesMax: 1, messageBytesMax: 2, inFlightBytesMax: 3 }
    const welcome = encode({
      type: 'welcome',
      protocolVersion: 2,
      clusterId: 'c',
      clientId: 5,
      secret: Uint8Array.of(9),
      limits,
      topology,
    })
    expect(unpack(welcome)).toEqual([
      65,
      2,
      'c',
      5,
      Uint8Array.of(9),
      [1, 2, 3],
      [7, 2, [[1, 7_401]], [1, 0], [3, 4], [[2, 3], []]],
    ])
  })

  test('codec: the largest value and key in a batch → fit a message', () => {
    const body = new Uint8Array(MESSAGE_BYTES_MAX - 64)
    const batch = {
      type: 'batch',
      id: 1,
      child: 1,
      topologyVersion: 1,
      remainingMs: 1,
      body,
    } as const
    expect(decodeClientMessage(encodeMessage(batch))).toMatchObject({ id: 1, child: 1 })
  })

  test('codec: an error message that is too long to be read → cut', () => {
    for (const message of ['x'.repeat(10_000), '€'.repeat(10_000)]) {
      const decoded = decodeNodeMessage(encodeMessage({ type: 'failure', code: 19, message }))
      assert(decoded.type === 'failure')
      expect(Buffer.byteLength(decoded.message)).toBeLessThanOrEqual(ERROR_TEXT_BYTES_MAX)
      expect(decoded.message.endsWith('…')).toBe(true)
      expect(message.startsWith(decoded.message.slice(0, -1))).toBe(true)
    }
  })
})

describe('codec: bytes that are no message', () => {
  test('codec: any message cut at any byte, or followed by one → PROTOCOL', () => {
    fc.assert(
      fc.property(fc.oneof(anyClientMessage, anyNodeMessage), (message) => {
        const encoded = encode(message)
        for (let end = 0; end < encoded.length; end += 1) {
          const cut = encoded.subarray(0, end)
          assert(!decoders.some((decoder) => isAccepted(decoder, cut)))
        }
        const longer = Uint8Array.of(...encoded, 0xc0)
        expect(decoders.some((decoder) => isAccepted(decoder, longer))).toBe(false)
      }),
    )
  })

  test('codec: any message with any byte changed → a message or PROTOCOL, nothing else', () => {
    const flips = fc.integer({ min: 1, max: 255 })
    fc.assert(
      fc.property(fc.oneof(anyClientMessage, anyNodeMessage), flips, (message, flip) => {
        const encoded = encode(message)
        for (let index = 0; index < encoded.length; index += 1) {
          const changed = encoded.slice()
          changed[index] = (changed[index] ?? 0) ^ flip
          for (const decoder of decoders) assert(typeof isAccepted(decoder, changed) === 'boolean')
        }
      }),
    )
  })

  test('codec: random bytes → a message or PROTOCOL, nothing else', () => {
    const starts = Object.values(MESSAGE_TAGS).map((tag) => Uint8Array.of(0x96, tag))
    const startedBytes = fc
      .tuple(fc.constantFrom(Uint8Array.of(), ...starts), fc.uint8Array({ maxLength: 60 }))
      .map(([start, rest]) => Uint8Array.of(...start, ...rest))
    fc.assert(
      fc.property(startedBytes, (encoded) => {
        for (const decoder of decoders) assert(typeof isAccepted(decoder, encoded) === 'boolean')
      }),
      { numRuns: 2_000 },
    )
  })

  test('codec: a message for the other side → PROTOCOL', () => {
    fc.assert(
      fc.property(anyClientMessage, anyNodeMessage, (fromClient, fromNode) => {
        expect(isAccepted(decodeNodeMessage, encode(fromClient))).toBe(false)
        expect(isAccepted(decodeClientMessage, encode(fromNode))).toBe(false)
      }),
    )
  })

  test.each([
    ['nothing', ''],
    ['an empty array', '90'],
    ['no array', '03'],
    ['a map', '82 03 07'],
    ['an unknown number', '92 3f 07'],
    ['a number beyond any', '92 cd ff ff 07'],
    ['a negative number', '92 ff 07'],
    ['a text for the number', '92 a1 33 07'],
    ['a field too few', '91 03'],
    ['a field too many', '93 03 07 07'],
    ['an array of 4 G items', 'dd ff ff ff ff 03 07'],
    ['an extension for the message', 'd4 72 40'],
    ['an extension for a field', '92 03 d4 72 40'],
    ['a record definition for a field', '92 03 d4 72 40 91 a1 61 01'],
    ['an array for a field', '92 03 91 07'],
    ['a float for a field', '92 03 cb 3f f0 00 00 00 00 00 00'],
    ['byte 0xc1', 'c1'],
  ])('codec: %s → PROTOCOL from both', (_, hex) => {
    for (const decoder of decoders) expect(accepts(decoder, hex)).toBe(false)
  })

  test.each([
    ['more text than a HELLO has', `96 01 01 00 c4 00 da 10 01 ${'61'.repeat(4_097)} a0`],
    ['a longer secret than any', `96 01 01 00 c4 41 ${'00'.repeat(65)} a0 a0`],
    ['a body that claims 4 GB', '96 02 01 01 01 01 c6 ff ff ff ff 00'],
  ])('codec: %s → PROTOCOL from the node', (_, hex) => {
    expect(accepts(decodeClientMessage, hex)).toBe(false)
  })

  test.each([
    ['no shards', '92 42 96 01 00 90 90 90 90'],
    ['three shards', '92 42 96 01 03 90 93 01 01 01 93 01 01 01 90'],
    ['more shards than may be', '92 42 96 01 cd 20 00 90 90 90 90'],
    ['9 Peta shards', '92 42 96 01 cf 00 10 00 00 00 00 00 00 90 90 90 90'],
    ['fewer primaries than shards', '92 42 96 01 02 90 91 01 92 01 01 90'],
    ['more epochs than shards', '92 42 96 01 01 90 91 01 92 01 01 90'],
    [
      'more children than may be',
      `92 42 96 01 01 dc 01 01 ${'92 01 00'.repeat(257)} 91 01 91 01 90`,
    ],
    ['no word of backups', '92 42 95 01 01 91 92 01 00 91 01 91 01'],
    ['backups of one shard of two', '92 42 96 01 02 90 92 01 01 92 01 01 91 90'],
    ['backups of more shards than it has', '92 42 96 01 01 90 91 01 91 01 92 90 90'],
    [
      'more backups than children may be',
      `92 42 96 01 01 90 91 01 91 01 91 dc 01 01 ${'02'.repeat(257)}`,
    ],
    ['a backup that is none', '92 42 96 01 01 90 91 01 91 01 91 91 c0'],
  ])('codec: a topology of %s → PROTOCOL', (_, hex) => {
    expect(accepts(decodeNodeMessage, '92 42 96 01 01 91 92 01 00 91 01 91 01 90')).toBe(true)
    expect(accepts(decodeNodeMessage, '92 42 96 01 01 90 91 01 91 01 91 91 02')).toBe(true)
    expect(accepts(decodeNodeMessage, hex)).toBe(false)
  })
})
