/**
 * How much is read from whom (P7): a message costs time however small it is, a socket brings thousands
 * of small ones at once, and a batch that is refused has been read, too.
 *
 * A connection that brings more than its allowance is held: what its socket has brought waits, and is
 * taken in step by step; then it is read from again. All that are held share one allowance, so
 * however many they are they take one connection's time. Clients that gather their calls in batches
 * and keep to what the node announced, as the protocol says, never come near it.
 */
import type { Connection } from './connection.js'

/** Messages that are read from a connection within `PACE_MS`; bytes count as messages, too. */
export const PACE_MESSAGES_MAX = 512

export const PACE_MS = 10

/** So many bytes are read in the time of a message. */
const MESSAGE_BYTES = 8_192

/** As much as all that are held have of `PACE_MS` together: a part of the time there is. */
const HELD_MESSAGES_MAX = 256

export interface ReadingPacePorts {
  /** A message that waited. */
  handle(connection: Connection, bytes: Uint8Array): void
  /** None of the connection's wait any more. */
  onReleased(connection: Connection): void
}

export class ReadingPace {
  private readonly ports: ReadingPacePorts
  /** Who has said something since the last step, or is held. */
  private readonly active = new Set<Connection>()
  private timer: NodeJS.Timeout | undefined

  constructor(ports: ReadingPacePorts) {
    this.ports = ports
  }

  /** Whether the message may be handled now; else it waits. */
  admits(connection: Connection, bytes: Uint8Array): boolean {
    if (connection.isHeld) {
      connection.unread.push(bytes)
      return false
    }
    this.charge(connection, 1 + bytes.length / MESSAGE_BYTES)
    return true
  }

  /** The connection has cost the time of so many messages. */
  charge(connection: Connection, messages: number): void {
    connection.unpacedMessages += messages
    this.active.add(connection)
    if (connection.unpacedMessages > PACE_MESSAGES_MAX) connection.hold()
    this.schedule()
  }

  forget(connection: Connection): void {
    this.active.delete(connection)
    connection.unread.length = 0
  }

  private step(): void {
    let held = 0
    for (const { isHeld } of this.active) if (isHeld) held += 1
    const share = Math.max(1, HELD_MESSAGES_MAX / held)
    for (const connection of this.active) {
      if (connection.isHeld) this.makeUp(connection, share)
      if (connection.isHeld) continue
      connection.unpacedMessages = 0
      this.active.delete(connection)
    }
    if (this.active.size > 0) this.schedule()
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.step()
    }, PACE_MS)
  }

  /** What was read too much is made up for first; then comes what waits. */
  private makeUp(connection: Connection, share: number): void {
    connection.unpacedMessages -= share
    let taken = 0
    while (connection.unpacedMessages <= 0 && taken < connection.unread.length) {
      const bytes = connection.unread[taken] as Uint8Array
      taken += 1
      connection.unpacedMessages += 1 + bytes.length / MESSAGE_BYTES
      this.ports.handle(connection, bytes)
    }
    connection.unread.splice(0, taken)
    if (connection.unpacedMessages > 0) return
    connection.release()
    this.ports.onReleased(connection)
  }
}
