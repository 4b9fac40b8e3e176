/** A client's socket that takes nothing by itself, and notes down what is done to it. */
import type { ClientSocket } from '../websocket.js'

export class StillSocket implements ClientSocket {
  bufferedBytes = 0
  readonly sent: Uint8Array[] = []
  /** The code it was closed with. */
  closed: number | undefined
  isTerminated = false
  isReading = true

  send(bytes: Uint8Array): void {
    this.sent.push(bytes)
  }
  cork(): void {}
  uncork(): void {}
  ping(): void {}
  pong(): void {}
  pause(): void {
    this.isReading = false
  }
  resume(): void {
    this.isReading = true
  }
  allowFullSize(): void {}
  close(code: number): void {
    this.closed ??= code
  }
  terminate(): void {
    this.isTerminated = true
  }
}
