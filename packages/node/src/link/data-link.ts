/**
 * The data plane between coordinator and child: one local socket, both ways, in frames.
 *
 * The coordinator opens and closes client connections on it and hands over batch bodies as they
 * came; the child answers with finished WebSocket messages. Neither end decodes what it relays.
 *
 * A frame is `[u32 length of the rest][u8 type][u32 connection][fields][bytes]`, little-endian.
 * Numbers that may pass 32 bits travel as doubles, exact below 2^53.
 */
import type { Duplex } from 'node:stream'
import { MESSAGE_BYTES_MAX } from '@kv/protocol'

/** Frame types. */
const OPEN = 1
const CLOSE = 2
const BATCH = 3
const REPLY = 4
const WINDOW = 5
const WATCH = 6
const CREDIT = 7
const UNWATCH = 8
const EVENT = 9

const HEADER_BYTES = 9
/** Bytes of the fields by frame type. */
const FIELD_BYTES: Readonly<Record<number, number>> = {
  [OPEN]: 8,
  [CLOSE]: 0,
  [BATCH]: 20,
  [REPLY]: 9,
  [WINDOW]: 4,
  [WATCH]: 0,
  [CREDIT]: 0,
  [UNWATCH]: 0,
  [EVENT]: 0,
}

const WATCH_TYPES = { watch: WATCH, credit: CREDIT, unwatch: UNWATCH } as const

/** A frame holds one message; replies may exceed a request by a page's last entry. */
const FRAME_BYTES_MAX = 4 * MESSAGE_BYTES_MAX + 65_536

/** From the coordinator to a child. */
export type LinkRequest =
  | { readonly type: 'open'; readonly connection: number; readonly clientId: number }
  | { readonly type: 'close'; readonly connection: number }
  /** The client has taken so many bytes of replies: the child may send as many more. */
  | { readonly type: 'window'; readonly connection: number; readonly bytes: number }
  | {
      readonly type: 'batch'
      readonly connection: number
      readonly batchId: number
      readonly topologyVersion: number
      readonly remainingMs: number
      /** See `batch-body.ts` of the protocol. A view: valid while the frame is handled. */
      readonly body: Uint8Array
    }
  | {
      readonly type: 'watch' | 'credit' | 'unwatch'
      readonly connection: number
      /** See `watch-body.ts` of the protocol. A view: valid while the frame is handled. */
      readonly body: Uint8Array
    }

/** From a child to the coordinator: news that answer no batch. */
export interface LinkEvent {
  readonly type: 'event'
  readonly connection: number
  /** A finished message for the client. A view: valid while the frame is handled. */
  readonly message: Uint8Array
}

/** From a child to the coordinator. */
export interface LinkReply {
  readonly type: 'reply'
  readonly connection: number
  readonly batchId: number
  /** No other reply to this batch follows. */
  readonly final: boolean
  /** A finished message for the client. A view: valid while the frame is handled. */
  readonly message: Uint8Array
}

export type LinkFrame = LinkRequest | LinkReply | LinkEvent

/**
 * One end of the link. Frames written in one turn of the event loop leave in one system call.
 * `onFrame` is called for each frame received, in order; `onChunkEnd` after the last frame of
 * what one read of the socket brought: the moment to act on all of them together.
 */
export class DataLink {
  private readonly socket: Duplex
  private readonly onFrame: (frame: LinkFrame) => void
  private readonly onChunkEnd: () => void
  /** Chunks of a frame that has not arrived in full, and the bytes due before it is worth a look. */
  private waiting: Buffer[] = []
  private waitingBytes = 0
  private dueBytes = 0
  private corked = false

  constructor(
    socket: Duplex,
    handlers: {
      readonly onFrame: (frame: LinkFrame) => void
      readonly onChunkEnd?: () => void
      /** The other end is gone, or sent what is no frame. */
      readonly onEnd: (error?: Error) => void
    },
  ) {
    this.socket = socket
    this.onFrame = handlers.onFrame
    this.onChunkEnd = handlers.onChunkEnd ?? ((): void => {})
    socket.on('data', (chunk: Buffer) => {
      try {
        this.receive(chunk)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
    socket.on('error', (error) => handlers.onEnd(error))
    socket.on('close', () => handlers.onEnd())
  }

  /** Bytes accepted for sending and not yet taken by the system. */
  get bufferedBytes(): number {
    return this.socket.writableLength
  }

  open(connection: number, clientId: number): void {
    const header = frameHeader(OPEN, connection, 8)
    header.writeDoubleLE(clientId, HEADER_BYTES)
    this.write(header)
  }

  close(connection: number): void {
    this.write(frameHeader(CLOSE, connection, 0))
  }

  window(connection: number, bytes: number): void {
    const header = frameHeader(WINDOW, connection, 4)
    header.writeUInt32LE(bytes, HEADER_BYTES)
    this.write(header)
  }

  batch(
    connection: number,
    batch: {
      readonly id: number
      readonly topologyVersion: number
      readonly remainingMs: number
      readonly body: Uint8Array
    },
  ): void {
    const header = frameHeader(BATCH, connection, 20, batch.body.length)
    header.writeDoubleLE(batch.id, HEADER_BYTES)
    header.writeDoubleLE(batch.topologyVersion, HEADER_BYTES + 8)
    header.writeUInt32LE(Math.min(batch.remainingMs, 0xffff_ffff), HEADER_BYTES + 16)
    this.write(header, batch.body)
  }

  /** Hands on what a client says about its watches. */
  watching(type: 'watch' | 'credit' | 'unwatch', connection: number, body: Uint8Array): void {
    this.write(frameHeader(WATCH_TYPES[type], connection, 0, body.length), body)
  }

  event(connection: number, message: Uint8Array): void {
    this.write(frameHeader(EVENT, connection, 0, message.length), message)
  }

  reply(connection: number, batchId: number, final: boolean, message: Uint8Array): void {
    const header = frameHeader(REPLY, connection, 9, message.length)
    header.writeDoubleLE(batchId, HEADER_BYTES)
    header.writeUInt8(final ? 1 : 0, HEADER_BYTES + 8)
    this.write(header, message)
  }

  /** Lets what was written leave, then ends this side. */
  end(): void {
    this.socket.end()
  }

  private write(header: Buffer, bytes?: Uint8Array): void {
    if (!this.socket.writable) return
    if (!this.corked) {
      this.corked = true
      this.socket.cork()
      process.nextTick(() => {
        this.corked = false
        this.socket.uncork()
      })
    }
    this.socket.write(header)
    if (bytes !== undefined) this.socket.write(bytes)
  }

  private receive(chunk: Buffer): void {
    this.waiting.push(chunk)
    this.waitingBytes += chunk.length
    if (this.waitingBytes < this.dueBytes) return
    const bytes = this.waiting.length === 1 ? chunk : Buffer.concat(this.waiting)
    const rest = bytes.subarray(this.handleFrames(bytes))
    this.waiting = rest.length === 0 ? [] : [rest]
    this.waitingBytes = rest.length
    this.dueBytes = rest.length < 4 ? 0 : frameEnd(rest, 0)
    this.onChunkEnd()
  }

  /** Handles every complete frame; returns where the first incomplete one begins. */
  private handleFrames(bytes: Buffer): number {
    let position = 0
    while (bytes.length - position >= 4) {
      const end = frameEnd(bytes, position)
      if (end > bytes.length) break
      this.onFrame(decodeFrame(bytes, position, end))
      position = end
    }
    return position
  }
}

function frameEnd(bytes: Buffer, start: number): number {
  const length = bytes.readUInt32LE(start)
  if (length > FRAME_BYTES_MAX || length < HEADER_BYTES - 4) {
    throw new Error(`data link: a frame of ${length} bytes`)
  }
  return start + 4 + length
}

function frameHeader(type: number, connection: number, fields: number, bytes = 0): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES + fields)
  header.writeUInt32LE(header.length - 4 + bytes, 0)
  header.writeUInt8(type, 4)
  header.writeUInt32LE(connection, 5)
  return header
}

function decodeFrame(bytes: Buffer, start: number, end: number): LinkFrame {
  const connection = bytes.readUInt32LE(start + 5)
  const fields = start + HEADER_BYTES
  const type = bytes[start + 4] as number
  if (end - fields < (FIELD_BYTES[type] ?? 0)) {
    throw new Error(`data link: a frame of type ${type} with ${end - fields} bytes`)
  }
  switch (type) {
    case BATCH:
      return {
        type: 'batch',
        connection,
        batchId: bytes.readDoubleLE(fields),
        topologyVersion: bytes.readDoubleLE(fields + 8),
        remainingMs: bytes.readUInt32LE(fields + 16),
        body: bytes.subarray(fields + 20, end),
      }
    case REPLY:
      return {
        type: 'reply',
        connection,
        batchId: bytes.readDoubleLE(fields),
        final: bytes[fields + 8] === 1,
        message: bytes.subarray(fields + 9, end),
      }
    case EVENT:
      return { type: 'event', connection, message: bytes.subarray(fields, end) }
    case WATCH:
      return { type: 'watch', connection, body: bytes.subarray(fields, end) }
    case CREDIT:
      return { type: 'credit', connection, body: bytes.subarray(fields, end) }
    case UNWATCH:
      return { type: 'unwatch', connection, body: bytes.subarray(fields, end) }
    case OPEN:
      return { type: 'open', connection, clientId: bytes.readDoubleLE(fields) }
    case CLOSE:
      return { type: 'close', connection }
    case WINDOW:
      return { type: 'window', connection, bytes: bytes.readUInt32LE(fields) }
    default:
      throw new Error(`data link: no frame has type ${type}`)
  }
}
