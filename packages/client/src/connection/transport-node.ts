/**
 * WebSocket connections of Node, through `ws`. The only file that knows `ws`.
 */
import { MESSAGE_BYTES_MAX } from '@kv/protocol'
import type { NetworkSocket } from 'ws'
import { WebSocket } from 'ws'
import type { Transport, TransportEnd, TransportEvents } from './transport.js'

const BINARY = { binary: true } as const

/** The package compiles without the types of Node. */
const { process } = globalThis as unknown as {
  readonly process: { nextTick(callback: () => void): void }
}

/**
 * A client must send a mask, and may choose it. Masks protect proxies from pages that make a
 * browser send bytes of their choosing (RFC 6455, section 10.3); a program on Node can open a TCP
 * connection anyway. With the mask of zeros `ws` sends our memory as it is: no copy, no XOR.
 */
function generateMask(mask: Uint8Array): void {
  mask.fill(0)
}

/** Messages of one turn of the event loop leave in one system call. */
class Turn {
  private readonly network: NetworkSocket
  private isCorked = false
  private readonly end = (): void => {
    this.isCorked = false
    this.network.uncork()
  }

  constructor(network: NetworkSocket) {
    this.network = network
  }

  begin(): void {
    if (this.isCorked) return
    this.isCorked = true
    this.network.cork()
    process.nextTick(this.end)
  }
}

export function openNodeTransport(url: string, events: TransportEvents): Transport {
  const socket = new WebSocket(url, {
    // Deflate costs more than it saves on local networks, and memory per connection.
    perMessageDeflate: false,
    maxPayload: 2 * MESSAGE_BYTES_MAX,
    generateMask,
    skipUTF8Validation: true,
  })
  let failure: Error | undefined
  let turn: Turn | undefined
  socket.on('upgrade', (response) => {
    turn = new Turn(response.socket)
  })
  socket.on('open', () => {
    events.onOpen()
  })
  socket.on('message', (data, isBinary) => {
    // A text message is nothing a node sends: as no bytes at all it breaks the protocol.
    events.onMessage(isBinary ? data : new Uint8Array(0))
  })
  socket.on('error', (error) => {
    failure = error
  })
  socket.on('close', (code, reason) => {
    const end: TransportEnd = { code, reason: reason.toString(), error: failure }
    events.onClose(end)
  })
  return {
    send: (bytes) => {
      if (socket.readyState !== WebSocket.OPEN) return
      turn?.begin()
      socket.send(bytes, BINARY)
    },
    close: (code, reason) => {
      socket.close(code, reason)
    },
    drop: () => {
      socket.terminate()
    },
  }
}
