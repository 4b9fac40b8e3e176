/** What the relay does at its limits, with as many clients as it takes (P7). */
import type { ClientMessage, NodeMessage } from '@kv/protocol'
import {
  CLOSE_CODES,
  decodeNodeMessage,
  encodeMessage,
  ERROR_RULES,
  OUTCOMES,
  PROTOCOL_VERSION,
} from '@kv/protocol'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { LinkHandlers, RequestEnd } from '../link/data-link.js'
import { LINK_BACKLOG_BYTES_MAX } from '../link/data-link.js'
import { BATCH_OVERHEAD_BYTES, BUFFERED_BYTES_MAX } from './connection.js'
import { Greeter } from './greeting.js'
import { BATCHES_IN_FLIGHT_MAX, GREETINGS_MAX, HELLO_MS_MAX, Relay } from './relay.js'
import { PACE_MS } from './reading-pace.js'
import { StillSocket } from './testing/still-socket.js'
import type { ClientListener } from './websocket.js'

const MEBIBYTE = 1_048_576

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Time goes on: nobody is held back any more for having sent a lot. */
function letPass(steps = 20): void {
  vi.advanceTimersByTime(steps * PACE_MS)
}
const REFUSED = {
  type: 'refused',
  code: ERROR_RULES.OVERLOADED.wire,
  outcome: OUTCOMES.indexOf('not-applied'),
}

function start(
  settings: { readonly laneBytesMax?: number; readonly connectionsMax?: number } = {},
) {
  const clock = { nowMs: 0 }
  let lastId = 0
  const ids = {
    isGenuine: () => false,
    issue: () => ({ clientId: (lastId += 1), secret: new Uint8Array(8) }),
    whyNone: '',
  }
  const relay = new Relay(
    {
      clusterId: 'cluster',
      limits: {
        valueBytesMax: MEBIBYTE,
        messageBytesMax: 2 * MEBIBYTE,
        inFlightBytesMax: 8 * MEBIBYTE,
      },
      connectionsMax: settings.connectionsMax ?? 20_000,
      laneBytesMax: settings.laneBytesMax ?? 64 * MEBIBYTE,
      greeter: new Greeter(ids, undefined),
      now: () => clock.nowMs,
      onError: () => {},
    },
    { version: 1, shardCount: 1, children: [], primaries: [1], epochs: [1], backups: [] },
  )
  const taken: number[] = []
  const link = { bufferedBytes: 0 }
  const handlers: LinkHandlers[] = []
  const lane = relay.addLane(
    1,
    (from) => {
      handlers.push(from)
      return stillLink(link, (connection) => taken.push(connection))
    },
    () => {},
  )
  lane.isOpen = true
  const answer = (connection: number, batchId: number): void => {
    const message = encodeMessage({ type: 'reply', batchId, final: true, body: new Uint8Array(3) })
    handlers[0]?.onFrame({ type: 'reply', connection, batchId, final: true, message })
  }
  /** The child's socket has taken everything. */
  const drain = (): void => {
    link.bufferedBytes = 0
    handlers[0]?.onDrain?.()
  }
  return { relay, clock, lane, taken, answer, link, drain }
}

/** A child that takes batches and answers none. */
function stillLink(
  state: { bufferedBytes: number },
  onBatch: (connection: number) => void,
): RequestEnd {
  const nothing = (): void => {}
  return {
    get bufferedBytes() {
      return state.bufferedBytes
    },
    open: nothing,
    close: nothing,
    window: nothing,
    batch: (connection, { body }) => {
      state.bufferedBytes += body.length
      onBatch(connection)
    },
    watching: nothing,
    end: nothing,
    destroy: nothing,
  }
}

class Client {
  readonly socket = new StillSocket()
  readonly listener: ClientListener
  private lastId = 0

  constructor(relay: Relay) {
    this.listener = relay.accept(this.socket)
  }

  static welcome(relay: Relay): Client {
    const client = new Client(relay)
    const secret = new Uint8Array()
    const hello = { protocolVersion: PROTOCOL_VERSION, clientId: 0, secret, token: '', name: '' }
    client.says({ type: 'hello', ...hello })
    client.socket.sent.length = 0
    return client
  }

  says(message: ClientMessage): void {
    this.listener.onMessage(encodeMessage(message))
  }

  /** Sends a batch; tells whether it was handed on. */
  batch(bytes: number): boolean {
    this.lastId += 1
    const body = new Uint8Array(bytes)
    const before = this.socket.sent.length
    this.says({
      type: 'batch',
      id: this.lastId,
      child: 1,
      topologyVersion: 1,
      remainingMs: 1,
      body,
    })
    return this.socket.sent.length === before
  }

  get told(): NodeMessage[] {
    return this.socket.sent.map((bytes) => decodeNodeMessage(bytes))
  }
}

test('a hundred that send all they may → refused in time, and who comes with little finds room', () => {
  const laneBytesMax = 8 * MEBIBYTE
  const { relay, lane } = start({ laneBytesMax })
  const greedy = Array.from({ length: 100 }, () => Client.welcome(relay))
  for (let round = 0; round < 80; round += 1) {
    for (const each of greedy) each.batch(16_384)
    letPass()
  }
  letPass(500)
  expect(lane.inFlightBytes).toBeLessThan(laneBytesMax)
  expect(greedy.every(({ socket }) => socket.closed === undefined)).toBe(true)
  expect(greedy[0]?.told.at(-1)).toMatchObject(REFUSED)
  const modest = Client.welcome(relay)
  for (let batch = 0; batch < 10; batch += 1) expect(modest.batch(1_000)).toBe(true)
})

test('P7: the child takes no more → batches wait; it takes some → who comes with little is first', () => {
  const { relay, taken, link, drain } = start()
  const greedy = Array.from({ length: 10 }, () => Client.welcome(relay))
  for (let round = 0; round < 20; round += 1) {
    for (const each of greedy) expect(each.batch(65_536)).toBe(true)
    letPass()
  }
  const before = taken.length
  expect(link.bufferedBytes).toBeLessThan(LINK_BACKLOG_BYTES_MAX + 65_536)
  const modest = Client.welcome(relay)
  expect(modest.batch(100)).toBe(true)
  expect(taken).toHaveLength(before)
  drain()
  expect(taken[before]).toBe(11)
  expect(link.bufferedBytes).toBeLessThan(LINK_BACKLOG_BYTES_MAX + 65_536)
})

test('a client that is gone before the child takes more → nothing of it is handed over', () => {
  const { relay, taken, lane, link, drain } = start()
  const [gone, stays] = [Client.welcome(relay), Client.welcome(relay)]
  link.bufferedBytes = LINK_BACKLOG_BYTES_MAX
  gone.batch(1_000)
  stays.batch(1_000)
  gone.listener.onClose()
  drain()
  expect(taken).toEqual([2])
  expect(lane.inFlightBytes).toBe(1_000 + BATCH_OVERHEAD_BYTES)
})

test('seven that have as much in flight as the node announces → none is refused', () => {
  const { relay } = start()
  const clients = Array.from({ length: 7 }, () => Client.welcome(relay))
  for (let round = 0; round < 64; round += 1) {
    for (const each of clients) expect(each.batch(131_072)).toBe(true)
    letPass()
  }
})

test('very many empty batches → count by what they take in memory; their number is limited', () => {
  const { relay, lane } = start()
  const client = Client.welcome(relay)
  for (let batch = 0; batch < BATCHES_IN_FLIGHT_MAX; batch += 1) {
    expect(client.batch(1)).toBe(true)
    if (batch % 100 === 0) letPass(1)
  }
  expect(client.batch(1)).toBe(false)
  expect(client.told).toMatchObject([REFUSED])
  expect(lane.inFlightBytes).toBe(BATCHES_IN_FLIGHT_MAX * (1 + BATCH_OVERHEAD_BYTES))
})

test('an answer → gives the room back', () => {
  const { relay, lane, answer } = start({ laneBytesMax: 2_000 })
  const client = Client.welcome(relay)
  expect(client.batch(1_000)).toBe(true)
  expect(client.batch(1_000)).toBe(false)
  answer(1, 1)
  expect(lane.inFlightBytes).toBe(0)
  expect(client.batch(1_000)).toBe(true)
})

test('connections that say nothing → so many at a time; they are let go, and others come in', () => {
  const { relay, clock } = start()
  const client = Client.welcome(relay)
  const silent = Array.from({ length: GREETINGS_MAX }, () => new Client(relay))
  expect(relay.hasRoom).toBe(false)
  expect(client.batch(10)).toBe(true)
  clock.nowMs = HELLO_MS_MAX
  relay.sweep()
  expect(silent.every(({ socket }) => socket.closed === CLOSE_CODES.policy)).toBe(true)
  for (const { listener } of silent) listener.onClose()
  expect(relay.hasRoom).toBe(true)
  expect(relay.connectionCount).toBe(1)
})

test('as many connections as there may be → no more come in until one leaves', () => {
  const { relay } = start({ connectionsMax: 2 })
  const [first] = [Client.welcome(relay), Client.welcome(relay)]
  expect(relay.hasRoom).toBe(false)
  first.listener.onClose()
  expect(relay.hasRoom).toBe(true)
})

test('a client that takes nothing → cut off at the limit of its connection', () => {
  const { relay, answer } = start()
  const client = Client.welcome(relay)
  client.batch(10)
  client.socket.bufferedBytes = BUFFERED_BYTES_MAX + 1
  answer(1, 1)
  expect(client.socket.closed).toBe(CLOSE_CODES.policy)
  expect(client.socket.isTerminated).toBe(true)
})

test('more and more, although it has a lot unanswered → refused, and held back for a while', () => {
  const { relay } = start({ laneBytesMax: 2 * MEBIBYTE })
  const client = Client.welcome(relay)
  for (let batch = 0; batch < 40; batch += 1) client.batch(131_072)
  expect(client.told.at(-1)).toMatchObject(REFUSED)
  expect(client.socket.isReading).toBe(false)
  letPass(100)
  expect(client.socket.isReading).toBe(true)
})
