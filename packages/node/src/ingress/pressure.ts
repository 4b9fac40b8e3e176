/**
 * What all connections together may hold (P7): messages that have begun to arrive and are not complete,
 * and what was sent and is not taken.
 *
 * Each connection has limits of its own; ten thousand of them at their limits would still be more than
 * a machine has. Who makes the sum too large is cut off: of messages the one that has been arriving for
 * longest, of what is not taken the largest. What is small is not counted, so that nothing is paid
 * for connections that behave.
 */
import { CLOSE_CODES } from '@kv/protocol'
import type { Connection } from './connection.js'

/** Messages that are not complete, all connections. */
export const ARRIVING_BYTES_MAX: number = 256 * 1_048_576

/** How long a message may take to arrive. */
export const ARRIVING_MS_MAX = 60_000

/** What clients have not taken, all connections. */
export const BACKLOG_BYTES_MAX: number = 256 * 1_048_576

/** A connection's backlog up to this size is not counted. */
export const BACKLOG_COUNTED_BYTES_MIN = 65_536

export interface PressureLimits {
  readonly arrivingBytesMax: number
  readonly backlogBytesMax: number
}

const LIMITS: PressureLimits = {
  arrivingBytesMax: ARRIVING_BYTES_MAX,
  backlogBytesMax: BACKLOG_BYTES_MAX,
}

interface Arriving {
  bytes: number
  readonly sinceMs: number
}

export class Pressure {
  private readonly limits: PressureLimits
  /** In the order in which the messages began. */
  private readonly arriving = new Map<Connection, Arriving>()
  private readonly backlogs = new Map<Connection, number>()
  private arrivingBytes = 0
  private backlogBytes = 0

  constructor(limits: PressureLimits = LIMITS) {
    this.limits = limits
  }

  /** More of a message has come that is not complete. */
  onPart(connection: Connection, bytes: number, nowMs: number): void {
    const known = this.arriving.get(connection)
    if (known === undefined) this.arriving.set(connection, { bytes, sinceMs: nowMs })
    else known.bytes += bytes
    this.arrivingBytes += bytes
    if (this.arrivingBytes > this.limits.arrivingBytesMax) this.endOldest()
  }

  /** The message is complete. */
  onWhole(connection: Connection): void {
    const known = this.arriving.get(connection)
    if (known === undefined) return
    this.arriving.delete(connection)
    this.arrivingBytes -= known.bytes
  }

  /** So much of what was sent is not taken. */
  onBacklog(connection: Connection, bytes: number): void {
    this.backlogBytes += bytes - (this.backlogs.get(connection) ?? 0)
    if (bytes === 0) this.backlogs.delete(connection)
    else this.backlogs.set(connection, bytes)
    if (this.backlogBytes > this.limits.backlogBytesMax) this.endLargest()
  }

  /** To be called about once a second. */
  sweep(nowMs: number): void {
    for (const [connection, { sinceMs }] of this.arriving) {
      if (nowMs - sinceMs < ARRIVING_MS_MAX) return
      // A client that is not read from can't go on.
      if (!connection.isPaused) this.cutOff(connection, 'a message took too long to arrive')
    }
  }

  /** The connection is over. */
  forget(connection: Connection): void {
    this.onWhole(connection)
    this.onBacklog(connection, 0)
  }

  /** Makes room for several, so that not every part to come looks for somebody. */
  private endOldest(): void {
    const enough = this.limits.arrivingBytesMax / 2
    for (const connection of this.arriving.keys()) {
      this.cutOff(connection, 'too many messages take long to arrive')
      if (this.arrivingBytes <= enough) return
    }
  }

  private endLargest(): void {
    let largest: Connection | undefined
    let most = 0
    for (const [connection, bytes] of this.backlogs) {
      if (bytes <= most) continue
      largest = connection
      most = bytes
    }
    if (largest !== undefined) this.cutOff(largest, 'too much waits for slow readers')
  }

  private cutOff(connection: Connection, reason: string): void {
    this.forget(connection)
    connection.close(CLOSE_CODES.policy, reason)
    connection.socket.terminate()
  }
}
