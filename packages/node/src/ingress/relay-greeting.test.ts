import type { ClientMessage, NodeMessage, Topology } from '@kv/protocol'
import {
  CLOSE_CODES,
  ERROR_RULES,
  HELLO_BYTES_MAX,
  PROTOCOL_VERSION,
  decodeNodeMessage,
  encodeMessage,
} from '@kv/protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_ID_BLOCK, ClientIds } from './client-ids.js'
import { Greeter } from './greeting.js'
import { Relay } from './relay.js'
import type { ClientListener } from './websocket.js'

const TOPOLOGY: Topology = {
  version: 7,
  shardCount: 1,
  children: [],
  primaries: [0],
  epochs: [0],
  backups: [],
}

let relay: Relay
let nowMs: number
let errors: unknown[]

beforeEach(() => {
  nowMs = 0
  errors = []
  const reserve = (): Promise<void> => Promise.resolve()
  const ids = new ClientIds({ next: 1, end: 1 + CLIENT_ID_BLOCK, secret: 'ab'.repeat(32), reserve })
  relay = new Relay(
    {
      clusterId: 'cluster',
      limits: { valueBytesMax: 10, messageBytesMax: 10, inFlightBytesMax: 10 },
      connectionsMax: 4,
      laneBytesMax: 10,
      greeter: new Greeter(ids, undefined),
      now: () => nowMs,
      onError: (error) => errors.push(error),
    },
    TOPOLOGY,
  )
})

/** A client that has connected and said nothing yet. */
class FakeClient {
  readonly received: NodeMessage[] = []
  isFullSize = false
  closed: number | undefined
  isTerminated = false
  private readonly listener: ClientListener

  constructor() {
    const ignore = (): void => {}
    this.listener = relay.accept({
      bufferedBytes: 0,
      send: (bytes) => this.received.push(decodeNodeMessage(bytes)),
      cork: ignore,
      uncork: ignore,
      ping: ignore,
      pong: ignore,
      pause: ignore,
      resume: ignore,
      allowFullSize: () => {
        this.isFullSize = true
      },
      close: (code) => {
        this.closed = code
      },
      terminate: () => {
        this.isTerminated = true
      },
    })
  }

  static welcome(): FakeClient {
    const client = new FakeClient()
    client.hello()
    client.received.length = 0
    return client
  }

  hello(clientId = 0, secret: Uint8Array = new Uint8Array(), version = PROTOCOL_VERSION): void {
    const name = { token: '', name: 'fake' }
    this.says({ type: 'hello', protocolVersion: version, clientId, secret, ...name })
  }

  says(message: ClientMessage): void {
    this.saysBytes(encodeMessage(message))
  }

  saysBytes(bytes: Uint8Array): void {
    this.listener.onMessage(bytes)
  }

  saysText(): void {
    this.listener.onText()
  }

  batch(id: number): void {
    const body = new Uint8Array(1)
    this.says({ type: 'batch', id, child: 1, topologyVersion: 7, remainingMs: 500, body })
  }

  leaves(): void {
    this.listener.onClose()
  }
}

describe('relay: greeting', () => {
  test('HELLO → WELCOME with identity, limits and topology; full-size messages from then on', () => {
    const client = new FakeClient()
    client.hello()
    expect(client.received).toMatchObject([
      { type: 'welcome', clusterId: 'cluster', clientId: 1, topology: TOPOLOGY },
    ])
    expect(client.isFullSize).toBe(true)
  })

  test('the same identity comes again → its former connection ends', () => {
    const former = new FakeClient()
    former.hello()
    const welcome = former.received[0]!
    if (welcome.type !== 'welcome') throw new Error('not welcome')
    const again = new FakeClient()
    again.hello(welcome.clientId, welcome.secret)
    expect(again.received).toMatchObject([{ type: 'welcome', clientId: welcome.clientId }])
    expect(former.isTerminated).toBe(true)
    expect(relay.connectionCount).toBe(1)
  })

  test('no HELLO in time → closed', () => {
    const client = new FakeClient()
    nowMs = 4_999
    relay.sweep()
    expect(client.closed).toBeUndefined()
    nowMs = 5_000
    relay.sweep()
    expect(client.closed).toBe(CLOSE_CODES.policy)
  })

  test('too many connections → no room for one more', () => {
    const clients = Array.from({ length: 4 }, () => new FakeClient())
    expect(relay.hasRoom).toBe(false)
    clients[0]!.leaves()
    expect(relay.hasRoom).toBe(true)
  })
})

describe('relay: broken protocol', () => {
  const cases: Record<
    string,
    { do: (client: FakeClient) => void; greeted: boolean; code: number }
  > = {
    'a batch before HELLO': {
      do: (client) => client.batch(1),
      greeted: false,
      code: CLOSE_CODES.protocol,
    },
    'HELLO twice': { do: (client) => client.hello(), greeted: true, code: CLOSE_CODES.protocol },
    'bytes that are no message': {
      do: (client) => client.saysBytes(Uint8Array.of(0xc1, 0, 0xff)),
      greeted: true,
      code: CLOSE_CODES.protocol,
    },
    'no bytes at all': {
      do: (client) => client.saysBytes(new Uint8Array()),
      greeted: true,
      code: CLOSE_CODES.protocol,
    },
    text: { do: (client) => client.saysText(), greeted: true, code: CLOSE_CODES.protocol },
    'another version': {
      do: (client) => client.hello(0, new Uint8Array(), 99),
      greeted: false,
      code: CLOSE_CODES.protocol,
    },
    'too much before HELLO': {
      do: (client) => client.saysBytes(new Uint8Array(HELLO_BYTES_MAX + 1)),
      greeted: false,
      code: CLOSE_CODES.tooLarge,
    },
  }
  for (const [name, broken] of Object.entries(cases)) {
    test(`${name} → a failure that says so, then the close`, () => {
      const client = broken.greeted ? FakeClient.welcome() : new FakeClient()
      broken.do(client)
      expect(client.received).toMatchObject([{ type: 'failure', code: ERROR_RULES.PROTOCOL.wire }])
      expect(client.closed).toBe(broken.code)
      client.batch(1)
      expect(client.received).toHaveLength(1)
      expect(errors).toEqual([])
    })
  }
})

describe('relay: what it says itself', () => {
  test('a new topology → to every client that was welcomed, and in later welcomes', () => {
    const client = FakeClient.welcome()
    const greeting = new FakeClient()
    const topology = { ...TOPOLOGY, version: 8 }
    relay.publish(topology)
    expect(client.received).toEqual([{ type: 'topology', topology }])
    expect(greeting.received).toEqual([])
    greeting.hello()
    expect(greeting.received).toMatchObject([{ type: 'welcome', topology }])
  })

  test('a ping in the protocol → its pong', () => {
    const client = FakeClient.welcome()
    client.says({ type: 'ping', nonce: 42 })
    expect(client.received).toEqual([{ type: 'pong', nonce: 42 }])
  })
})
