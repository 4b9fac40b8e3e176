/**
 * A local socket as a sequence of frames, both ways.
 *
 * A frame is `[u32 length of the rest][u8 type][u32 lane][bytes]`, little-endian: what a lane is, and
 * what the bytes mean, is for the link on top (`data-link.ts`, `replication-link.ts`). Frames written
 * in one turn of the event loop leave in one system call.
 */
import type { Duplex } from 'node:stream'

export const FRAME_HEADER_BYTES = 9

export interface ReceivedFrame {
  readonly type: number
  readonly lane: number
  /** The frame's bytes are those from `start` to `end`; valid while the frame is handled. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

export interface FrameSocketOptions {
  /** What errors call the link. */
  readonly name: string
  /** The longest frame that is taken, without its length; a longer one ends the socket. */
  readonly frameBytesMax: number
  /** Called for each frame, in order. What it throws ends the socket. */
  readonly onFrame: (frame: ReceivedFrame) => void
  /** What one read of the socket brought has been handled: the moment to act on all of it. */
  readonly onChunkEnd: () => void
  /** The system has taken all that was written and was more than it takes at once. */
  readonly onDrain?: (() => void) | undefined
  /** With an error if there is one; without at the end, which always comes. */
  readonly onEnd: (error?: Error) => void
}

export class FrameSocket {
  private readonly socket: Duplex
  private readonly options: FrameSocketOptions
  /** Chunks of a frame that has not arrived in full, and the bytes due before it is worth a look. */
  private waiting: Buffer[] = []
  private waitingBytes = 0
  private dueBytes = 0
  private isCorked = false

  constructor(socket: Duplex, options: FrameSocketOptions) {
    this.socket = socket
    this.options = options
    socket.on('data', (chunk: Buffer) => {
      try {
        this.receive(chunk)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
    socket.on('drain', () => options.onDrain?.())
    socket.on('error', (error) => options.onEnd(error))
    socket.on('close', () => options.onEnd())
  }

  /** Bytes accepted for sending and not yet taken by the system. */
  get bufferedBytes(): number {
    return this.socket.writableLength
  }

  /** Writes a frame: what `frameHeader` made, and bytes that must not change until they have left. */
  write(header: Buffer, bytes?: Uint8Array): void {
    if (!this.socket.writable) return
    if (!this.isCorked) {
      this.isCorked = true
      this.socket.cork()
      process.nextTick(() => {
        this.isCorked = false
        this.socket.uncork()
      })
    }
    this.socket.write(header)
    if (bytes !== undefined) this.socket.write(bytes)
  }

  /** Lets what was written leave, then ends this side. */
  end(): void {
    this.socket.end()
  }

  /** Ends both sides at once; what was written may be lost. */
  destroy(error?: Error): void {
    this.socket.destroy(error)
  }

  private receive(chunk: Buffer): void {
    this.waiting.push(chunk)
    this.waitingBytes += chunk.length
    if (this.waitingBytes < this.dueBytes) return
    const bytes = this.waiting.length === 1 ? chunk : Buffer.concat(this.waiting)
    const rest = bytes.subarray(this.handleFrames(bytes))
    this.waiting = rest.length === 0 ? [] : [rest]
    this.waitingBytes = rest.length
    this.dueBytes = rest.length < 4 ? 0 : this.frameEnd(rest, 0)
    this.options.onChunkEnd()
  }

  /** Handles every complete frame; returns where the first incomplete one begins. */
  private handleFrames(bytes: Buffer): number {
    let position = 0
    while (bytes.length - position >= 4) {
      const end = this.frameEnd(bytes, position)
      if (end > bytes.length) break
      const type = bytes[position + 4] as number
      const lane = bytes.readUInt32LE(position + 5)
      this.options.onFrame({ type, lane, bytes, start: position + FRAME_HEADER_BYTES, end })
      position = end
    }
    return position
  }

  private frameEnd(bytes: Buffer, start: number): number {
    const length = bytes.readUInt32LE(start)
    if (length > this.options.frameBytesMax || length < FRAME_HEADER_BYTES - 4) {
      throw new Error(`${this.options.name}: a frame of ${length} bytes`)
    }
    return start + 4 + length
  }
}

/** A frame's header with room for `fields` behind it; `bytes` follow when it is written. */
export function frameHeader(type: number, lane: number, fields: number, bytes: number = 0): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES + fields)
  header.writeUInt32LE(header.length - 4 + bytes, 0)
  header.writeUInt8(type, 4)
  header.writeUInt32LE(lane, 5)
  return header
}
