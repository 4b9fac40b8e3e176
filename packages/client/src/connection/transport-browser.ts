/**
 * Connections through the WebSocket of browsers, or any class with the same interface.
 */
import { MESSAGE_BYTES_MAX } from '@kv/protocol'
import type { OpenTransport, Transport, TransportEvents } from './transport.js'

/** The part of a standard WebSocket that is used. */
export interface StandardWebSocket {
  binaryType: string
  readonly readyState: number
  onopen: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onerror: (() => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
  send(bytes: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
}

/** A class like the `WebSocket` of browsers. */
export type WebSocketClass = new (url: string) => StandardWebSocket

const OPEN = 1
const GOODBYE = 1000
const PRIVATE_CODE_MIN = 3000

export function browserTransport(Socket: WebSocketClass): OpenTransport {
  return (url, events) => openBrowserTransport(new Socket(url), events)
}

function openBrowserTransport(socket: StandardWebSocket, events: TransportEvents): Transport {
  let hasEnded = false
  function end(code: number, reason: string): void {
    if (hasEnded) return
    hasEnded = true
    events.onClose({ code, reason })
  }
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => {
    events.onOpen()
  }
  socket.onmessage = ({ data }) => {
    if (hasEnded) return
    const isBytes = data instanceof ArrayBuffer && data.byteLength <= 2 * MESSAGE_BYTES_MAX
    // Anything else is nothing a node sends: as no bytes at all it breaks the protocol.
    events.onMessage(isBytes ? new Uint8Array(data) : new Uint8Array(0))
  }
  // Browsers do not say what went wrong; `onclose` follows.
  socket.onerror = () => {}
  socket.onclose = ({ code, reason }) => {
    end(code, reason)
  }
  return {
    send: (bytes) => {
      if (socket.readyState === OPEN) socket.send(bytes as Uint8Array<ArrayBuffer>)
    },
    close: (code, reason) => {
      // A page may not say the codes that belong to the protocol itself.
      socket.close(code >= PRIVATE_CODE_MIN ? code : GOODBYE, reason)
    },
    drop: () => {
      // There is no way to drop a connection here: let it end by itself, unheard.
      socket.close()
      queueMicrotask(() => {
        end(1006, '')
      })
    },
  }
}
