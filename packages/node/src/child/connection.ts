/**
 * A client connection as a child sees it: who it is, and how much of what was sent to it the
 * client has not taken yet.
 */

/** Replies a client has not taken; beyond this its reads wait. */
export const UNREAD_BYTES_MAX = 1_048_576

export class Connection {
  readonly id: number
  readonly clientId: number
  /** Called whenever the client has taken something. */
  onTaken: (() => void) | undefined
  private unreadBytes = 0
  private onRoom: (() => void) | undefined
  isClosed = false

  constructor(id: number, clientId: number) {
    this.id = id
    this.clientId = clientId
  }

  /** Bytes sent that the client is not known to have taken. */
  get unread(): number {
    return this.unreadBytes
  }

  get hasRoom(): boolean {
    return this.unreadBytes < UNREAD_BYTES_MAX
  }

  sent(bytes: number): void {
    this.unreadBytes += bytes
  }

  /** The client took so many bytes. */
  taken(bytes: number): void {
    this.unreadBytes = Math.max(this.unreadBytes - bytes, 0)
    if (this.hasRoom) this.wake()
    this.onTaken?.()
  }

  close(): void {
    this.isClosed = true
    this.wake()
  }

  /** Calls back once, when there is room or the connection has ended. */
  whenRoom(callback: () => void): void {
    this.onRoom = callback
  }

  private wake(): void {
    const { onRoom } = this
    this.onRoom = undefined
    onRoom?.()
  }
}
