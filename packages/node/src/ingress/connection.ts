/**
 * One client's connection: its phase, its unanswered batches, its pressure.
 *
 *   greeting ──becomeReady──▶ ready ──close──▶ closing ──▶ closed
 *       └──────────────────────────────close────▶┘
 *
 * A client that does not read what it asked for is not read from (`PAUSE_BYTES`), and in the end
 * cut off (`BUFFERED_BYTES_MAX`): its backlog is never more than that (P7).
 */
import type { ErrorCode, NodeMessage } from '@kv/protocol'
import { CLOSE_CODES, ERROR_RULES, encodeMessage } from '@kv/protocol'
import type { Lane } from './lane.js'
import { BACKLOG_COUNTED_BYTES_MIN } from './pressure.js'
import type { ClientSocket } from './websocket.js'

/** Unsent bytes above which nothing more is read from the client until all are sent. */
export const PAUSE_BYTES = 262_144

/** Unsent bytes above which the client is cut off. */
export const BUFFERED_BYTES_MAX: number = 16 * 1_048_576

/** WebSocket pings that may stay without an answer before the connection counts as dead. */
const UNANSWERED_PINGS_MAX = 2

/** A batch that was handed to a child and has no final reply yet. */
export interface PendingBatch {
  readonly lane: Lane
  readonly bytes: number
}

/** What a batch is counted as at its child, beside its body: an empty one takes memory, too. */
export const BATCH_OVERHEAD_BYTES = 256

export class Connection {
  /** Names the connection on the data sockets. */
  readonly number: number
  readonly socket: ClientSocket
  readonly pending: Map<number, PendingBatch> = new Map()
  phase: 'greeting' | 'ready' | 'closing' | 'closed' = 'greeting'
  /** 0 until HELLO was accepted. */
  clientId = 0
  /** Bytes of the pending batches. */
  inFlightBytes = 0
  /** WebSocket pings without an answer. */
  unansweredPings = 0
  /** When it began to greet, to be pinged or to close, on the monotonic clock. */
  sinceMs: number
  isPaused = false
  /** It has said too much at once, and is not read from for a while. */
  isHeld = false
  /** Messages that `ReadingPace` has not made up for, and those that wait until it has. */
  unpacedMessages = 0
  readonly unread: Uint8Array[] = []
  isCorked = false
  /** Called with what the client has not taken: where that is much, and with 0 once it has all. */
  onBacklog: ((bytes: number) => void) | undefined
  private hasBacklog = false
  private bufferedAtPing = 0

  constructor(number: number, socket: ClientSocket, nowMs: number) {
    this.number = number
    this.socket = socket
    this.sinceMs = nowMs
  }

  becomeReady(clientId: number, nowMs: number): void {
    this.phase = 'ready'
    this.clientId = clientId
    this.sinceMs = nowMs
    this.socket.allowFullSize()
  }

  /** Sends a finished message. Does nothing once the connection is closing. */
  send(message: Uint8Array): void {
    if (this.phase !== 'ready' && this.phase !== 'greeting') return
    this.socket.send(message)
    this.lookAtBacklog()
  }

  /** Answers a ping of the protocol below. */
  pong(payload: Uint8Array): void {
    if (this.phase !== 'ready' && this.phase !== 'greeting') return
    this.socket.pong(payload)
    this.lookAtBacklog()
  }

  private lookAtBacklog(): void {
    const { bufferedBytes } = this.socket
    if (bufferedBytes <= BACKLOG_COUNTED_BYTES_MIN) return
    this.hasBacklog = true
    this.onBacklog?.(bufferedBytes)
    if (bufferedBytes <= PAUSE_BYTES) return
    if (bufferedBytes > BUFFERED_BYTES_MAX) {
      this.close(CLOSE_CODES.policy, 'the client reads too slowly')
      this.socket.terminate()
    } else this.pause()
  }

  say(message: NodeMessage): void {
    this.send(encodeMessage(message))
  }

  /** Nothing more is read from the client for the time being. */
  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.socket.pause()
  }

  /** Everything sent was taken by the system: the client reads again. */
  resume(): void {
    if (this.hasBacklog) this.onBacklog?.(0)
    this.hasBacklog = false
    if (!this.isPaused) return
    this.isPaused = false
    if (!this.isHeld) this.socket.resume()
  }

  /** Nothing more is read from the client until `release`. */
  hold(): void {
    if (this.isHeld) return
    this.isHeld = true
    if (!this.isPaused) this.socket.pause()
  }

  release(): void {
    if (!this.isHeld) return
    this.isHeld = false
    if (!this.isPaused) this.socket.resume()
  }

  /** Asks for a sign of life, or ends a connection that gave none. */
  ping(nowMs: number): void {
    this.sinceMs = nowMs
    // The answers of a paused client are not read: that it takes what was sent has to do.
    const { bufferedBytes } = this.socket
    if (this.isPaused && bufferedBytes < this.bufferedAtPing) this.unansweredPings = 0
    this.bufferedAtPing = bufferedBytes
    if (this.unansweredPings >= UNANSWERED_PINGS_MAX) {
      this.socket.terminate()
      return
    }
    this.unansweredPings += 1
    this.socket.ping()
  }

  /** Says why, then closes. */
  fail(code: ErrorCode, closeCode: number, message: string): void {
    this.say({ type: 'failure', code: ERROR_RULES[code].wire, message })
    this.close(closeCode, message)
  }

  close(code: number, reason: string): void {
    if (this.phase === 'closing' || this.phase === 'closed') return
    this.phase = 'closing'
    // The answer to the close frame must be read.
    this.resume()
    this.release()
    this.socket.close(code, closeReason(reason))
  }

  addPending(batchId: number, pending: PendingBatch): void {
    this.pending.set(batchId, pending)
    this.inFlightBytes += pending.bytes
    pending.lane.inFlightBytes += pending.bytes + BATCH_OVERHEAD_BYTES
  }

  /** The batch needs no more replies. */
  settle(batchId: number, pending: PendingBatch): void {
    this.pending.delete(batchId)
    this.inFlightBytes -= pending.bytes
    pending.lane.inFlightBytes -= pending.bytes + BATCH_OVERHEAD_BYTES
  }
}

/** A close frame has room for 123 bytes of UTF-8 (RFC 6455, 5.5.1); three per unit at most. */
function closeReason(text: string): string {
  return text.slice(0, 41)
}
