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
import { FRAME_HEADER_BYTES, frameHeader, FrameSocket, type ReceivedFrame } from './frame-socket.js'

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

/**
 * What is written to a link and not taken yet. Nobody in it is overtaken, so it is kept short: beyond this
 * batches, and the answers to reads, wait before it, where whose turn it is is decided fairly (P7).
 */
export const LINK_BACKLOG_BYTES_MAX = 524_288

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

/** What the side of the clients says. */
export interface RequestEnd {
  /** Bytes accepted for sending and not yet taken by the system. */
  readonly bufferedBytes: number
  open(connection: number, clientId: number): void
  close(connection: number): void
  window(connection: number, bytes: number): void
  batch(
    connection: number,
    batch: {
      readonly id: number
      readonly topologyVersion: number
      readonly remainingMs: number
      readonly body: Uint8Array
    },
  ): void
  /** Hands on what a client says about its watches. */
  watching(type: 'watch' | 'credit' | 'unwatch', connection: number, body: Uint8Array): void
  /** Lets what was written leave, then ends this side. */
  end(): void
  /** Ends both sides at once; what was written may be lost. */
  destroy(): void
}

/** What the host of the shards says. */
export interface ReplyEnd {
  /** Bytes accepted for sending and not yet taken by the system. */
  readonly bufferedBytes: number
  event(connection: number, message: Uint8Array): void
  reply(connection: number, batchId: number, final: boolean, message: Uint8Array): void
}

export interface LinkHandlers {
  readonly onFrame: (frame: LinkFrame) => void
  readonly onChunkEnd?: () => void
  /** What was written is taken, after it was more than `LINK_BACKLOG_BYTES_MAX`. */
  readonly onDrain?: () => void
  /** The other end is gone, or sent what is no frame. */
  readonly onEnd: (error?: Error) => void
}

/**
 * One end of the link. Frames written in one turn of the event loop leave in one system call.
 * `onFrame` is called for each frame received, in order; `onChunkEnd` after the last frame of
 * what one read of the socket brought: the moment to act on all of them together.
 */
export class DataLink implements RequestEnd, ReplyEnd {
  private readonly socket: FrameSocket

  constructor(socket: Duplex, handlers: LinkHandlers) {
    const { onFrame, onChunkEnd = (): void => {}, onDrain, onEnd } = handlers
    this.socket = new FrameSocket(socket, {
      name: 'data link',
      frameBytesMax: FRAME_BYTES_MAX,
      onFrame: (frame) => {
        onFrame(decodeFrame(frame))
      },
      onChunkEnd,
      onDrain,
      onEnd,
    })
  }

  get bufferedBytes(): number {
    return this.socket.bufferedBytes
  }

  open(connection: number, clientId: number): void {
    const header = frameHeader(OPEN, connection, 8)
    header.writeDoubleLE(clientId, FRAME_HEADER_BYTES)
    this.socket.write(header)
  }

  close(connection: number): void {
    this.socket.write(frameHeader(CLOSE, connection, 0))
  }

  window(connection: number, bytes: number): void {
    const header = frameHeader(WINDOW, connection, 4)
    header.writeUInt32LE(bytes, FRAME_HEADER_BYTES)
    this.socket.write(header)
  }

  batch(connection: number, batch: Parameters<RequestEnd['batch']>[1]): void {
    const header = frameHeader(BATCH, connection, 20, batch.body.length)
    header.writeDoubleLE(batch.id, FRAME_HEADER_BYTES)
    header.writeDoubleLE(batch.topologyVersion, FRAME_HEADER_BYTES + 8)
    header.writeUInt32LE(Math.min(batch.remainingMs, 0xffff_ffff), FRAME_HEADER_BYTES + 16)
    this.socket.write(header, batch.body)
  }

  watching(type: 'watch' | 'credit' | 'unwatch', connection: number, body: Uint8Array): void {
    this.socket.write(frameHeader(WATCH_TYPES[type], connection, 0, body.length), body)
  }

  event(connection: number, message: Uint8Array): void {
    this.socket.write(frameHeader(EVENT, connection, 0, message.length), message)
  }

  reply(connection: number, batchId: number, final: boolean, message: Uint8Array): void {
    const header = frameHeader(REPLY, connection, 9, message.length)
    header.writeDoubleLE(batchId, FRAME_HEADER_BYTES)
    header.writeUInt8(final ? 1 : 0, FRAME_HEADER_BYTES + 8)
    this.socket.write(header, message)
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

function decodeFrame({
  type,
  lane: connection,
  bytes,
  start: fields,
  end,
}: ReceivedFrame): LinkFrame {
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
