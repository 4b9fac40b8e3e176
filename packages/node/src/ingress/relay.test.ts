import { duplexPair } from 'node:stream'
import type { ClientMessage, NodeMessage, Topology } from '@kv/protocol'
import {
  CLOSE_CODES,
  ERROR_RULES,
  MOVED,
  OUTCOMES,
  PROTOCOL_VERSION,
  decodeNodeMessage,
  encodeMessage,
} from '@kv/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import type { LinkFrame } from '../link/data-link.js'
import { DataLink } from '../link/data-link.js'
import { CLIENT_ID_BLOCK, ClientIds } from './client-ids.js'
import { BATCH_OVERHEAD_BYTES, PAUSE_BYTES } from './connection.js'
import { Greeter } from './greeting.js'
import type { JoinChild, Lane } from './lane.js'
import { Relay } from './relay.js'
import { StillSocket } from './testing/still-socket.js'
import type { ClientListener } from './websocket.js'

const TOPOLOGY: Topology = {
  version: 7,
  shardCount: 2,
  children: [{ id: 1, port: 0 }],
  primaries: [1, 1],
  epochs: [1, 1],
  backups: [],
}
const IN_FLIGHT_BYTES_MAX = 1_000
const LANE_BYTES_MAX = 1_500 + 2 * BATCH_OVERHEAD_BYTES

let relay: Relay
let nowMs: number

beforeEach(() => {
  nowMs = 0
  const reserve = (): Promise<void> => Promise.resolve()
  const ids = new ClientIds({ next: 1, end: 1 + CLIENT_ID_BLOCK, secret: 'ab'.repeat(32), reserve })
  relay = new Relay(
    {
      clusterId: 'cluster',
      limits: { valueBytesMax: 10, messageBytesMax: 10, inFlightBytesMax: IN_FLIGHT_BYTES_MAX },
      connectionsMax: 4,
      laneBytesMax: LANE_BYTES_MAX,
      greeter: new Greeter(ids, undefined),
      now: () => nowMs,
      onError: () => {},
    },
    TOPOLOGY,
  )
})

/** A client as the relay sees it: a socket that notes down what is done to it. */
class FakeClient extends StillSocket {
  readonly received: NodeMessage[] = []
  readonly log: string[] = []
  private readonly listener: ClientListener

  constructor() {
    super()
    this.listener = relay.accept(this)
  }

  /** Connected and welcomed. */
  static welcome(): FakeClient {
    const client = new FakeClient()
    client.hello()
    client.received.length = 0
    client.log.length = 0
    return client
  }

  hello(): void {
    this.says({
      type: 'hello',
      protocolVersion: PROTOCOL_VERSION,
      clientId: 0,
      secret: new Uint8Array(),
      token: '',
      name: 'fake',
    })
  }

  says(message: ClientMessage): void {
    this.listener.onMessage(encodeMessage(message))
  }

  batch(id: number, bytes = 10, child = 1): void {
    const body = new Uint8Array(bytes)
    this.says({ type: 'batch', id, child, topologyVersion: 7, remainingMs: 500, body })
  }

  drains(): void {
    this.bufferedBytes = 0
    this.listener.onDrain()
  }

  leaves(): void {
    this.listener.onClose()
  }

  override send(bytes: Uint8Array): void {
    this.received.push(decodeNodeMessage(bytes))
    this.log.push('send')
  }
  override cork(): void {
    this.log.push('cork')
  }
  override uncork(): void {
    this.log.push('uncork')
  }
}

/** A child's end of a data socket. */
class FakeChild {
  readonly frames: LinkFrame[] = []
  readonly lane: Lane
  readonly link: DataLink
  ends = 0

  constructor(id: number) {
    const [ours, theirs] = duplexPair({ allowHalfOpen: false })
    const join: JoinChild = (handlers) => new DataLink(ours, handlers)
    this.lane = relay.addLane(id, join, () => {
      this.ends += 1
    })
    this.lane.isOpen = true
    this.link = new DataLink(theirs, {
      // What a frame points into lives only while it is handled.
      onFrame: (frame) => this.frames.push(structuredClone(frame)),
      onEnd: () => {},
    })
  }

  reply(connection: number, batchId: number, final = true): void {
    const body = Uint8Array.of(1, 2, 3)
    this.link.reply(
      connection,
      batchId,
      final,
      encodeMessage({ type: 'reply', batchId, final, body }),
    )
  }

  batches(): number[] {
    return this.frames.flatMap((frame) => (frame.type === 'batch' ? [frame.batchId] : []))
  }
}

/** Lets everything that was sent through the streams arrive. */
async function arrive(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('relay: batches', () => {
  test('a batch → to its child as it came, after the connection was opened there, once', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    client.batch(2)
    await arrive()
    expect(child.frames.map((frame) => frame.type)).toEqual(['open', 'batch', 'batch'])
    expect(child.frames[0]).toMatchObject({ connection: 1, clientId: 1 })
    expect(child.frames[1]).toMatchObject({
      connection: 1,
      batchId: 1,
      topologyVersion: 7,
      remainingMs: 500,
    })
    expect(relay.pendingBatches).toBe(2)
  })

  test('replies of one read → to their client as they came, in one system call', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    client.batch(2)
    await arrive()
    client.log.length = 0
    child.reply(1, 1, false)
    child.reply(1, 2)
    child.reply(1, 1)
    await arrive()
    expect(client.received.map((message) => 'batchId' in message && message.batchId)).toEqual([
      1, 2, 1,
    ])
    expect(client.log[0]).toBe('cork')
    expect(client.log.at(-1)).toBe('uncork')
    expect(relay.pendingBatches).toBe(0)
    expect(child.lane.inFlightBytes).toBe(0)
  })

  test('a reply to a batch that is over, or to a client that left → dropped', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    await arrive()
    child.reply(1, 1)
    child.reply(1, 1)
    child.reply(1, 77)
    child.reply(99, 1)
    await arrive()
    expect(client.received).toHaveLength(1)
  })

  test('a child that is not there, or not started → MOVED, not applied', () => {
    const child = new FakeChild(1)
    child.lane.isOpen = false
    const client = FakeClient.welcome()
    client.batch(1)
    client.batch(2, 10, 9)
    const refused = { type: 'refused', code: MOVED, outcome: OUTCOMES.indexOf('not-applied') }
    expect(client.received).toMatchObject([
      { ...refused, batchId: 1 },
      { ...refused, batchId: 2 },
    ])
  })

  test('over the budget of the connection → OVERLOADED, not applied, the others unharmed', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1, 600)
    client.batch(2, 600)
    client.batch(3, 400)
    await arrive()
    expect(client.received).toMatchObject([
      {
        type: 'refused',
        batchId: 2,
        code: ERROR_RULES.OVERLOADED.wire,
        outcome: OUTCOMES.indexOf('not-applied'),
      },
    ])
    expect(child.batches()).toEqual([1, 3])
    child.reply(1, 1)
    await arrive()
    client.batch(4, 600)
    expect(client.received.filter((message) => message.type === 'refused')).toHaveLength(1)
  })

  test('over the budget of the child, all connections → OVERLOADED', () => {
    const child = new FakeChild(1)
    const [first, second] = [FakeClient.welcome(), FakeClient.welcome()]
    first.batch(1, 1_000)
    second.batch(1, 501)
    expect(second.received).toMatchObject([{ code: ERROR_RULES.OVERLOADED.wire }])
    expect(child.lane.inFlightBytes).toBe(1_000 + BATCH_OVERHEAD_BYTES)
  })

  test('the client leaves → the child is told, and its budget is free', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    client.leaves()
    await arrive()
    expect(child.frames.at(-1)).toEqual({ type: 'close', connection: 1 })
    expect(child.lane.inFlightBytes).toBe(0)
    expect(relay.connectionCount).toBe(0)
  })

  test('a child ends a conversation with a failure → passed on, then closed', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    await arrive()
    const message = encodeMessage({ type: 'failure', code: 19, message: 'no such call' })
    child.link.reply(1, 1, true, message)
    await arrive()
    expect(client.received).toMatchObject([{ type: 'failure', message: 'no such call' }])
    expect(client.closed).toBe(CLOSE_CODES.protocol)
  })

  test('a batch id that is still unanswered → closed', () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    client.batch(1)
    expect(client.closed).toBe(CLOSE_CODES.protocol)
    expect(child.lane.inFlightBytes).toBe(10 + BATCH_OVERHEAD_BYTES)
  })
})

describe('relay: pressure', () => {
  test('a client takes what it is sent → the child hears so; one that does not → once it has', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    const message = encodeMessage({
      type: 'reply',
      batchId: 1,
      final: false,
      body: new Uint8Array(100_000),
    })
    const windows = (): number[] =>
      child.frames.flatMap((frame) => (frame.type === 'window' ? [frame.bytes] : []))
    client.batch(1)
    for (let reply = 0; reply < 2; reply += 1) child.link.reply(1, 1, false, message)
    await arrive()
    expect(windows()).toEqual([2 * message.length])
    client.bufferedBytes = PAUSE_BYTES + 1
    for (let reply = 0; reply < 3; reply += 1) child.link.reply(1, 1, false, message)
    await arrive()
    expect(windows()).toHaveLength(1)
    client.drains()
    await arrive()
    expect(windows()).toEqual([2 * message.length, 3 * message.length])
  })
})

describe('relay: a child ends', () => {
  test('what it had answered arrives; the rest is UNAVAILABLE, outcome unknown', async () => {
    const child = new FakeChild(1)
    const other = new FakeChild(2)
    const client = FakeClient.welcome()
    client.batch(1)
    client.batch(2)
    client.batch(3, 10, 2)
    await arrive()
    child.reply(1, 1)
    child.link.end()
    await arrive()
    expect(client.received).toMatchObject([
      { type: 'reply', batchId: 1 },
      {
        type: 'refused',
        batchId: 2,
        code: ERROR_RULES.UNAVAILABLE.wire,
        outcome: OUTCOMES.indexOf('unknown'),
      },
    ])
    expect(child.ends).toBe(1)
    expect(other.lane.inFlightBytes).toBe(10 + BATCH_OVERHEAD_BYTES)
  })

  test('its successor → batches go there, late replies of the old one do not count', async () => {
    const old = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    await arrive()
    old.lane.isOpen = false
    const next = new FakeChild(1)
    client.batch(2)
    await arrive()
    expect(next.frames.map((frame) => frame.type)).toEqual(['open', 'batch'])
    old.reply(1, 2)
    await arrive()
    expect(client.received).toEqual([])
    old.link.end()
    await arrive()
    expect(client.received).toMatchObject([{ type: 'refused', batchId: 1 }])
    next.reply(1, 2)
    await arrive()
    expect(client.received.at(-1)).toMatchObject({ type: 'reply', batchId: 2 })
  })

  test('it sends what is no reply → the lane ends', async () => {
    const child = new FakeChild(1)
    child.link.open(1, 1)
    await arrive()
    expect(child.ends).toBe(1)
    expect(child.lane.isOpen).toBe(false)
  })
})

describe('relay: shutdown', () => {
  test('draining → nobody comes in, nothing is read, nothing new is taken; answers still go out', async () => {
    const child = new FakeChild(1)
    const client = FakeClient.welcome()
    client.batch(1)
    await arrive()
    relay.drain()
    expect(relay.hasRoom).toBe(false)
    expect(client.isReading).toBe(false)
    client.batch(2)
    child.reply(1, 1)
    await arrive()
    expect(client.received).toMatchObject([
      { type: 'refused', batchId: 2, code: MOVED },
      { type: 'reply', batchId: 1 },
    ])
    relay.closeAll(CLOSE_CODES.goingAway, 'bye')
    expect(client.closed).toBe(CLOSE_CODES.goingAway)
    expect(client.isReading).toBe(true)
  })
})
