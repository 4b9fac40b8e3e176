/**
 * A client that breaks the protocol: sends one malformed message after the other, over the same
 * connection as long as the node keeps it, and opens another one when it does not.
 *
 * Handshake, HELLO and the first mutant leave in one write. After each mutant a ping asks whether the
 * connection still stands; a mutated body is answered by a child, and that answer is waited for, too.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { MESSAGE_TAGS } from '@kv/protocol'
import { hello, ping } from './samples.js'
import { FrameReader, frame } from './web-socket-frames.js'

const HEADERS_END = '\r\n\r\n'
const OPCODE_CLOSE = 8
const OPCODE_BINARY = 2
const SILENCE_MS_MAX = 10_000

const HANDSHAKE = Buffer.from(
  [
    'GET / HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    HEADERS_END,
  ].join('\r\n'),
)
const GREETING = Buffer.concat([HANDSHAKE, frame(hello())])
const PING = frame(ping())

/** What to send next: frames as they are. */
export interface Attack {
  readonly frames: Buffer
  /** Whether it is sent in place of HELLO. */
  readonly isFirst: boolean
  /** Whether a child answers it. */
  readonly isAnswered: boolean
}

/** Sends attacks until there are no more. Rejects if the node leaves one without any reaction. */
export async function attack(port: number, nextAttack: () => Attack | undefined): Promise<void> {
  for (let next = nextAttack(); next !== undefined; next = nextAttack()) {
    await new OneConnection(port, next, nextAttack).ended
  }
}

class OneConnection {
  readonly ended: Promise<void>
  private readonly socket: Socket
  private readonly nextAttack: () => Attack | undefined
  private readonly reader = new FrameReader()
  private isUpgraded = false
  private awaitsPong = true
  private awaitsAnswer: boolean

  constructor(port: number, first: Attack, nextAttack: () => Attack | undefined) {
    this.nextAttack = nextAttack
    this.awaitsAnswer = first.isAnswered
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const greeting = first.isFirst ? HANDSHAKE : GREETING
    this.socket.write(Buffer.concat([greeting, first.frames, PING]))
    this.ended = new Promise((resolve, reject) => {
      this.socket.setTimeout(SILENCE_MS_MAX, () => {
        this.socket.destroy()
        const bytes = first.frames.toString('hex').slice(0, 400)
        reject(new Error(`the node says nothing, and does not end the connection: ${bytes}`))
      })
      this.socket.on('data', (chunk) => this.onData(chunk))
      // A connection that the node ends is what is expected.
      this.socket.on('error', () => undefined)
      this.socket.on('close', () => resolve())
    })
  }

  private onData(chunk: Buffer): void {
    let rest = chunk
    if (!this.isUpgraded) {
      const end = chunk.indexOf(HEADERS_END)
      if (end < 0) return
      this.isUpgraded = true
      rest = chunk.subarray(end + HEADERS_END.length)
    }
    for (const { opcode, payload } of this.reader.take(rest)) {
      if (opcode === OPCODE_CLOSE) this.drop()
      else if (opcode === OPCODE_BINARY) this.onMessage(payload[1] ?? 0)
    }
  }

  private onMessage(tag: number): void {
    if (tag === MESSAGE_TAGS.pong) this.awaitsPong = false
    else if (tag !== MESSAGE_TAGS.welcome && tag !== MESSAGE_TAGS.topology)
      this.awaitsAnswer = false
    if (this.awaitsPong || this.awaitsAnswer || this.socket.destroyed) return
    const next = this.nextAttack()
    if (next === undefined || next.isFirst) {
      this.drop()
      return
    }
    this.awaitsPong = true
    this.awaitsAnswer = next.isAnswered
    this.socket.write(Buffer.concat([next.frames, PING]))
  }

  /** Without a goodbye, so that no port is kept waiting. */
  private drop(): void {
    this.socket.resetAndDestroy()
  }
}
