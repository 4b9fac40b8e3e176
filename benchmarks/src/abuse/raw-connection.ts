/**
 * A client that honours nothing: a socket, the greeting, and frames by hand (RFC 6455). What comes back
 * is thrown away, or not even read.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { decodeNodeMessage, encodeMessage, PROTOCOL_VERSION } from '@kv/protocol'
import type { Topology } from '@kv/protocol'

const FIN_BINARY = 0x82
const MASKED = 0x80

/** What this process has done to the node so far. */
export interface Offered {
  connections: number
  bytes: number
}

export const offered: Offered = { connections: 0, bytes: 0 }

export class RawConnection {
  readonly socket: Socket
  isOver = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    offered.connections += 1
    this.socket.setNoDelay(true)
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isOver = true
    })
  }

  /** Connected, upgraded and greeted; what came of the topology. */
  static async welcome(port: number): Promise<{ raw: RawConnection; topology: Topology }> {
    const raw = new RawConnection(port)
    await once(raw.socket, 'connect')
    raw.upgrade(port)
    const bytes = await raw.firstMessage()
    const message = decodeNodeMessage(bytes)
    if (message.type !== 'welcome') throw new Error(`the node says ${message.type}`)
    raw.socket.resume()
    return { raw, topology: message.topology }
  }

  private upgrade(port: number): void {
    this.socket.write(
      `GET / HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
        'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    this.send(
      encodeMessage({
        type: 'hello',
        protocolVersion: PROTOCOL_VERSION,
        clientId: 0,
        secret: new Uint8Array(),
        token: '',
        name: '',
      }),
    )
  }

  private async firstMessage(): Promise<Uint8Array> {
    let bytes = Buffer.alloc(0)
    for await (const chunk of this.socket.iterator({ destroyOnReturn: false })) {
      bytes = Buffer.concat([bytes, chunk as Buffer])
      const head = bytes.indexOf('\r\n\r\n')
      if (head < 0 || bytes.length < head + 8) continue
      const short = bytes.readUInt8(head + 5)
      const start = head + (short < 126 ? 6 : 8)
      const length = short < 126 ? short : bytes.readUInt16BE(head + 6)
      if (bytes.length >= start + length) return bytes.subarray(start, start + length)
    }
    throw new Error('the node let go')
  }

  /** False if the system takes no more for the moment. */
  send(message: Uint8Array): boolean {
    return this.write(frameOf(message))
  }

  /** The same of bytes as they are. */
  write(bytes: Uint8Array): boolean {
    offered.bytes += bytes.length
    return this.socket.write(bytes)
  }

  end(): void {
    this.socket.destroy()
  }
}

/** The mask is zeros, so that the payload stays as it is. */
export function frameOf(payload: Uint8Array): Buffer {
  const { length } = payload
  const sizes =
    length < 126 ? [length] : length < 65_536 ? [126, 0, 0] : [127, 0, 0, 0, 0, 0, 0, 0, 0]
  const frame = Buffer.alloc(1 + sizes.length + 4 + length)
  frame[0] = FIN_BINARY
  frame[1] = MASKED | (sizes[0] as number)
  if (sizes.length === 3) frame.writeUInt16BE(length, 2)
  if (sizes.length === 9) frame.writeUInt32BE(length, 6)
  frame.set(payload, 1 + sizes.length + 4)
  return frame
}
