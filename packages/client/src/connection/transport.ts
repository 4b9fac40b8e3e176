/**
 * A WebSocket as the client needs it: whole binary messages, and one end. Each platform has its
 * implementation; tests script their own.
 */
export interface TransportEvents {
  onOpen(): void
  /** The memory of `bytes` is not used again by the transport. */
  onMessage(bytes: Uint8Array): void
  /** Exactly once, also when it never opened. Nothing follows. */
  onClose(end: TransportEnd): void
}

export interface TransportEnd {
  /** WebSocket close code; 1006 if the other end said none. */
  readonly code: number
  readonly reason: string
  /** What the platform says went wrong, if it does. */
  readonly error?: Error | undefined
}

export interface Transport {
  /** Only while open. `bytes` must not change until the other end has answered them. */
  send(bytes: Uint8Array): void
  /** Ends with a goodbye. */
  close(code: number, reason: string): void
  /** Ends without waiting for the other end, which may be gone. */
  drop(): void
}

/** Begins to open a connection. The events come later, never during this call. */
export type OpenTransport = (url: string, events: TransportEvents) => Transport
