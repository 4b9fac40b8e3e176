/**
 * Replication between two children: one local socket, and on it a channel for each backup of one that
 * follows a primary of the other.
 *
 * The child of the backup dials and opens channels; their numbers grow and none is used twice. Either
 * side ends a channel with a reason; what the other has sent meanwhile is dropped. A channel has no
 * flow control of its own: what may be under way is bounded by the primary (`peer.ts`).
 */
import type { Duplex } from 'node:stream'
import { SHARDS_MAX } from '@kv/protocol'
import { FrameSlab } from '../shard/log/frame-slab.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import type { ReceivedFrame } from './frame-socket.js'
import { FrameSocket } from './frame-socket.js'
import {
  type Codec,
  decodeJson,
  encodeJson,
  MESSAGE_BYTES_MAX,
  shortReason,
  TO_FOLLOWER,
  TO_PRIMARY,
} from './replication-codec.js'

const OPEN = 1
const END = 2

/** Beyond it the other side is given up: it takes nothing, and finds what it missed in the log. */
export const BUFFERED_BYTES_MAX = 268_435_456

/** A child hosts one copy of a shard at most; the rest are channels whose end is under way. */
const CHANNELS_MAX = 2 * SHARDS_MAX

/** Whom a channel is about: the shard, and the copy that follows. */
export interface ChannelTarget {
  readonly shard: number
  readonly copy: number
}

/** This end of a channel. */
export interface Channel<Out> {
  /** Does nothing once the channel has ended. */
  send(message: Out): void
  /** Ends it; `onEnd` is not called for it. */
  end(reason: string): void
}

/** What comes from the other end. */
export interface ChannelEvents<In> {
  onMessage(message: In): void
  /** The other side has ended the channel, or the socket is gone. The last call. */
  onEnd(reason: string): void
}

interface Lane<In> {
  readonly memory: FrameSlab
  events: ChannelEvents<In> | undefined
}

interface LinkOptions<In, Out> {
  readonly reads: Codec<In & { readonly type: string }>
  readonly writes: Codec<Out & { readonly type: string }>
  /** A channel was opened by the other side; absent on the side that dials. */
  readonly onOpen: ((target: ChannelTarget, channel: Channel<Out>) => ChannelEvents<In>) | undefined
  /** The socket is gone; every channel has ended. Called once. */
  readonly onEnd: (error: Error | undefined) => void
}

class ReplicationLink<In, Out> {
  private readonly socket: FrameSocket
  private readonly options: LinkOptions<In, Out>
  private readonly lanes = new Map<number, Lane<In>>()
  private lastLane = 0
  private isOver = false

  constructor(socket: Duplex, options: LinkOptions<In, Out>) {
    this.options = options
    this.socket = new FrameSocket(socket, {
      name: 'replication link',
      frameBytesMax: MESSAGE_BYTES_MAX,
      onFrame: (frame) => {
        this.onFrame(frame)
      },
      onChunkEnd: () => undefined,
      onEnd: (error) => {
        this.onGone(error)
      },
    })
  }

  /** Bytes accepted for sending and not yet taken by the system. */
  get bufferedBytes(): number {
    return this.socket.bufferedBytes
  }

  get channelCount(): number {
    return this.lanes.size
  }

  /** Opens a channel. On a socket that is gone it ends with the next turn. */
  protected openChannel(target: ChannelTarget, events: ChannelEvents<In>): Channel<Out> {
    const id = (this.lastLane += 1)
    this.lanes.set(id, { memory: new FrameSlab(), events })
    this.write(encodeJson(OPEN, id, target))
    if (this.isOver) setImmediate(() => this.drop(id, 'the connection is gone'))
    return this.channel(id)
  }

  /** Lets what was written leave, then ends this side. */
  finish(): void {
    this.socket.end()
  }

  /** Ends every channel and both sides of the socket. */
  destroy(error?: Error): void {
    this.socket.destroy(error)
  }

  private channel(id: number): Channel<Out> {
    return {
      send: (message) => {
        if (!this.lanes.has(id)) return
        this.write(this.options.writes.encode(id, message as Out & { readonly type: string }))
      },
      end: (reason) => {
        if (this.lanes.delete(id)) this.write(encodeJson(END, id, { reason: shortReason(reason) }))
      },
    }
  }

  private write({ header, bytes }: { readonly header: Buffer; readonly bytes?: Uint8Array }): void {
    this.socket.write(header, bytes)
    if (this.socket.bufferedBytes <= BUFFERED_BYTES_MAX) return
    this.socket.destroy(new Error(`replication link: ${this.bufferedBytes} bytes are not taken`))
  }

  private onFrame(frame: ReceivedFrame): void {
    if (frame.type === OPEN) return this.onOpen(frame)
    if (frame.lane === 0 || frame.lane > this.lastLane) {
      throw new Error(`replication link: channel ${frame.lane} was never opened`)
    }
    const lane = this.lanes.get(frame.lane)
    // It was sent before the other side knew that the channel has ended.
    if (lane === undefined) return
    if (frame.type === END) {
      const { reason } = decodeJson(frame)
      if (typeof reason !== 'string') throw new Error('replication link: an end without a reason')
      this.drop(frame.lane, shortReason(reason))
    } else {
      lane.events?.onMessage(this.options.reads.decode(frame, lane.memory))
    }
  }

  private onOpen(frame: ReceivedFrame): void {
    const { onOpen } = this.options
    const { shard, copy } = decodeJson(frame)
    if (onOpen === undefined || frame.lane <= this.lastLane || !isId(shard) || !isId(copy)) {
      throw new Error('replication link: a channel that can not be opened')
    }
    if (this.lanes.size >= CHANNELS_MAX) throw new Error('replication link: too many channels')
    this.lastLane = frame.lane
    const lane: Lane<In> = { memory: new FrameSlab(), events: undefined }
    this.lanes.set(frame.lane, lane)
    lane.events = onOpen({ shard, copy }, this.channel(frame.lane))
  }

  private drop(id: number, reason: string): void {
    const lane = this.lanes.get(id)
    if (this.lanes.delete(id)) lane?.events?.onEnd(reason)
  }

  private onGone(error: Error | undefined): void {
    if (this.isOver) return
    this.isOver = true
    const reason = `the connection is gone${error === undefined ? '' : `: ${error.message}`}`
    for (const id of this.lanes.keys()) this.drop(id, reason)
    this.options.onEnd(error)
  }
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 0xffff_ffff
}

/** The end of the child that hosts backups. */
export class DialledLink extends ReplicationLink<ToFollower, ToPrimary> {
  constructor(socket: Duplex, onEnd: (error: Error | undefined) => void) {
    super(socket, { reads: TO_FOLLOWER, writes: TO_PRIMARY, onOpen: undefined, onEnd })
  }

  /** Begins a conversation with the primary of a shard. */
  open(target: ChannelTarget, events: ChannelEvents<ToFollower>): Channel<ToPrimary> {
    return this.openChannel(target, events)
  }
}

/** The end of the child that hosts primaries. */
export class AcceptedLink extends ReplicationLink<ToPrimary, ToFollower> {
  constructor(
    socket: Duplex,
    handlers: {
      readonly onOpen: (
        target: ChannelTarget,
        channel: Channel<ToFollower>,
      ) => ChannelEvents<ToPrimary>
      readonly onEnd: (error: Error | undefined) => void
    },
  ) {
    super(socket, { reads: TO_PRIMARY, writes: TO_FOLLOWER, ...handlers })
  }
}
