/**
 * The one place that knows `ws`: turns an HTTP upgrade into a `ClientSocket`.
 *
 * Everything a stranger could make large has a limit here: the message, its fragments, what is
 * sent before HELLO was accepted. Compression is off: it costs more memory and time than local
 * traffic is worth.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { CLOSE_CODES, HELLO_BYTES_MAX, MESSAGE_BYTES_MAX } from '@kv/protocol'
import type { ServerOptions, WebSocket, WebSocketServer } from 'ws'

const FRAGMENTS_MAX = 64
const BUFFERED_CHUNKS_MAX = 1_024

/** How long the other end may take to answer a close. */
const CLOSE_TIMEOUT_MS = 1_000

/** `closeTimeout` is known to ws 8.19 and later, not yet to its type declarations. */
const SERVER_OPTIONS: ServerOptions & { readonly closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  // Who pings without end must not make the node write without end.
  autoPong: false,
  maxPayload: MESSAGE_BYTES_MAX,
  maxFragments: FRAGMENTS_MAX,
  maxBufferedChunks: BUFFERED_CHUNKS_MAX,
  closeTimeout: CLOSE_TIMEOUT_MS,
}

/** A client's connection as the relay needs it. */
export interface ClientSocket {
  /** Bytes accepted for sending and not yet taken by the system. */
  readonly bufferedBytes: number
  /** The bytes must not change afterwards. */
  send(bytes: Uint8Array): void
  /** Everything sent until `uncork` leaves in one system call. */
  cork(): void
  uncork(): void
  ping(): void
  pong(payload: Uint8Array): void
  /** Stops reading from it, so that its sender feels the pressure. */
  pause(): void
  resume(): void
  /** HELLO was accepted: messages may have their full size from now on. */
  allowFullSize(): void
  close(code: number, reason: string): void
  /** Ends it without a word. */
  terminate(): void
}

export interface ClientListener {
  onMessage(bytes: Uint8Array): void
  /** So many bytes have come that completed no message. */
  onPart(bytes: number): void
  /** A ping of the protocol below: to be answered by `pong`. */
  onPing(payload: Uint8Array): void
  /** A message that is text, not bytes. */
  onText(): void
  onPong(): void
  /** Everything sent so far was taken by the system. */
  onDrain(): void
  /** The last call, made exactly once. */
  onClose(): void
}

/**
 * `ws` is loaded when the first client comes: with what it loads in turn it takes a fifth of the
 * processor time in which a process starts, and until a child has, nobody serves what it is to serve.
 */
export class WebSocketPort {
  private server: WebSocketServer | undefined
  private loading: Promise<void> | undefined

  /** Whether upgrade requests can be answered at once; else they wait for `load`. */
  get isLoaded(): boolean {
    return this.server !== undefined
  }

  load(): Promise<void> {
    this.loading ??= import('ws').then(({ WebSocketServer: Server }) => {
      this.server = new Server(SERVER_OPTIONS)
    })
    return this.loading
  }

  /** Answers an upgrade request, once loaded; `accept` gets the socket if it was a proper one. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    accept: (client: ClientSocket) => ClientListener,
  ): void {
    this.server?.handleUpgrade(request, socket, head, (webSocket) => {
      // What `node:http` hands over at an upgrade is always the network socket.
      join(webSocket, socket as Socket, accept)
    })
  }
}

function join(
  webSocket: WebSocket,
  socket: Socket,
  accept: (client: ClientSocket) => ClientListener,
): void {
  const bytesBefore = socket.bytesRead
  let hasMessage = false
  const limitSize = (): void => {
    if (socket.bytesRead - bytesBefore > HELLO_BYTES_MAX) {
      webSocket.close(CLOSE_CODES.tooLarge, 'too much before HELLO')
      webSocket.terminate()
    }
  }
  socket.on('data', limitSize)
  const listener = accept({
    get bufferedBytes() {
      return socket.writableLength
    },
    send: (bytes) => webSocket.send(bytes),
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    ping: () => webSocket.ping(),
    pong: (payload) => webSocket.pong(payload),
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    allowFullSize: () => socket.off('data', limitSize),
    close: (code, reason) => webSocket.close(code, reason),
    terminate: () => webSocket.terminate(),
  })
  // The WebSocket listens before us: it has taken the messages out of what it was given.
  socket.on('data', (chunk: Buffer) => {
    if (!hasMessage) listener.onPart(chunk.length)
    hasMessage = false
  })
  webSocket.on('message', (data, isBinary) => {
    hasMessage = true
    // `nodebuffer`, the default binary type, makes every message one Buffer.
    if (isBinary) listener.onMessage(data as Buffer)
    else listener.onText()
  })
  webSocket.on('ping', (payload) => {
    hasMessage = true
    listener.onPing(payload)
  })
  webSocket.on('pong', () => {
    hasMessage = true
    listener.onPong()
  })
  webSocket.on('close', () => listener.onClose())
  // The close that follows an error says all that matters here.
  webSocket.on('error', () => {})
  socket.on('drain', () => listener.onDrain())
}
