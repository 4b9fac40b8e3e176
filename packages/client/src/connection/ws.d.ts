/**
 * The part of `ws` that `transport-node.ts` and the tests use.
 *
 * `@types/ws` would bring the types of Node into a package that must compile without them.
 */
declare module 'ws' {
  export interface WebSocketOptions {
    readonly perMessageDeflate?: boolean
    readonly maxPayload?: number
    readonly skipUTF8Validation?: boolean
    readonly generateMask?: (mask: Uint8Array) => void
  }

  /** The network socket under it. */
  export interface NetworkSocket {
    cork(): void
    uncork(): void
  }

  export class WebSocket {
    static readonly OPEN: 1
    readonly readyState: number
    constructor(url: string, options?: WebSocketOptions)
    on(event: 'upgrade', listener: (response: { readonly socket: NetworkSocket }) => void): this
    on(event: 'open', listener: () => void): this
    on(event: 'message', listener: (data: Uint8Array, isBinary: boolean) => void): this
    on(event: 'error', listener: (error: Error) => void): this
    on(event: 'close', listener: (code: number, reason: { toString(): string }) => void): this
    send(bytes: Uint8Array, options: { readonly binary: true }): void
    close(code: number, reason: string): void
    terminate(): void
  }

  export class WebSocketServer {
    constructor(options: {
      readonly port: number
      readonly host: string
      readonly perMessageDeflate?: boolean
    })
    on(event: 'connection', listener: (socket: WebSocket) => void): this
    on(event: 'listening', listener: () => void): this
    address(): { readonly port: number }
    close(done?: () => void): void
  }
}
