/**
 * The way to one child process: its data link and what the relay knows about it.
 *
 * A lane belongs to a process, not to a child id: when the child is replaced a new lane takes over
 * and nothing of the old one can be mistaken for the new.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Batch, Credit, Unwatch, Watch } from '@kv/protocol'
import type { LinkEvent, LinkHandlers, LinkReply, RequestEnd } from '../link/data-link.js'
import { LINK_BACKLOG_BYTES_MAX } from '../link/data-link.js'
import type { Connection } from './connection.js'
import { LaneQueue } from './lane-queue.js'

/** A child hears in steps of this size what a client has taken; it stops at 1 MiB untaken. */
const WINDOW_BYTES = 131_072

/** How long the data socket of a process that has exited may stay open. */
const END_PATIENCE_MS = 1_000

/** Makes the link to a process, or to a host in this one. */
export type JoinChild = (handlers: LinkHandlers) => RequestEnd

const ANSWERED_POLL_MS = 5

export interface LaneListener {
  onReply(lane: Lane, reply: LinkReply): void
  onEvent(lane: Lane, event: LinkEvent): void
  /** The last reply of what one read of the socket brought has been handed over. */
  onChunkEnd(): void
  /** No reply will come any more. The last call, made exactly once. */
  onEnd(lane: Lane, error: Error | undefined): void
}

export class Lane {
  readonly child: number
  /** Bytes of the batches that have no final reply yet, all connections. */
  inFlightBytes = 0
  /** Whether batches may be sent: the child has started and is not on its way out. */
  isOpen = false
  private readonly link: RequestEnd
  /**
   * Connections the child has been told of (each is opened at its first batch), and the bytes of
   * replies to it that the child does not know to be taken.
   */
  private readonly connections = new Map<number, number>()
  /** Highest watch that each connection has asked this child for. */
  readonly lastWatches: Map<number, number> = new Map()
  /** What the child's socket does not take at the moment. */
  private readonly queue = new LaneQueue()
  private hasEnded = false
  private endTimer: NodeJS.Timeout | undefined

  constructor(child: number, join: JoinChild, listener: LaneListener) {
    this.child = child
    this.link = join({
      onFrame: (frame) => {
        if (frame.type === 'reply') listener.onReply(this, frame)
        else if (frame.type === 'event') listener.onEvent(this, frame)
        else throw new Error(`a child sent ${frame.type} on the data socket`)
      },
      onChunkEnd: () => {
        listener.onChunkEnd()
      },
      onDrain: () => {
        this.goOn()
      },
      onEnd: (error) => {
        this.isOpen = false
        if (this.hasEnded) return
        this.hasEnded = true
        clearTimeout(this.endTimer)
        listener.onEnd(this, error)
      },
    })
  }

  /** Bytes handed over that the child's socket has not taken. */
  get bufferedBytes(): number {
    return this.link.bufferedBytes
  }

  /** Hands the batch over, or has it wait for its connection's share of what the child takes. */
  forward(connection: Connection, batch: Batch): void {
    if (this.takesMore && !this.queue.isWaiting) this.hand(connection, batch)
    else this.queue.add(connection, batch)
  }

  private get takesMore(): boolean {
    return this.link.bufferedBytes < LINK_BACKLOG_BYTES_MAX
  }

  private goOn(): void {
    while (this.takesMore) {
      const next = this.queue.take()
      if (next === undefined) return
      this.hand(next.connection, next.batch)
    }
  }

  private hand(connection: Connection, batch: Batch): void {
    this.introduce(connection)
    this.link.batch(connection.number, batch)
  }

  /** Hands on what the client says about its watches, in the order it said it. */
  forwardWatching(connection: Connection, message: Watch | Credit | Unwatch): void {
    this.introduce(connection)
    if (message.type === 'watch') this.lastWatches.set(connection.number, message.id)
    this.link.watching(message.type, connection.number, message.body)
  }

  private introduce(connection: Connection): void {
    if (this.connections.has(connection.number)) return
    this.connections.set(connection.number, 0)
    this.link.open(connection.number, connection.clientId)
  }

  /** A reply came for the connection. Answers whether the child should hear that it was taken. */
  count(connection: number, bytes: number): boolean {
    const untold = (this.connections.get(connection) ?? 0) + bytes
    this.connections.set(connection, untold)
    return untold >= WINDOW_BYTES
  }

  /** The client takes what it is sent: the child may send as much again (hard-parts 28). */
  grant(connection: number): void {
    const untold = this.connections.get(connection) ?? 0
    if (untold < WINDOW_BYTES) return
    this.connections.set(connection, 0)
    this.link.window(connection, untold)
  }

  closeConnection(connection: number): void {
    this.lastWatches.delete(connection)
    this.queue.forget(connection)
    if (this.connections.delete(connection)) this.link.close(connection)
  }

  /** Resolves when no batch waits for a reply any more, or the time is over. */
  async answered(patienceMs: number): Promise<void> {
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += ANSWERED_POLL_MS) {
      if (this.inFlightBytes === 0 || this.hasEnded) return
      await delay(ANSWERED_POLL_MS)
    }
  }

  /** The process has exited: what it had sent is still read, then the lane ends. */
  end(): void {
    this.isOpen = false
    if (this.hasEnded) return
    this.link.end()
    // Somebody else may hold the other end open; nobody is there to write into it.
    this.endTimer = setTimeout(() => {
      this.link.destroy()
    }, END_PATIENCE_MS)
  }
}
