import { CLOSE_CODES, ERROR_RULES, decodeNodeMessage } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { BUFFERED_BYTES_MAX, Connection, PAUSE_BYTES } from './connection.js'
import type { ClientSocket } from './websocket.js'

const PING_INTERVAL_MS = 15_000

/** A socket that notes down what is done to it. */
class FakeSocket implements ClientSocket {
  bufferedBytes = 0
  readonly sent: Uint8Array[] = []
  readonly log: string[] = []

  send(bytes: Uint8Array): void {
    this.sent.push(bytes)
  }
  cork(): void {
    this.log.push('cork')
  }
  uncork(): void {
    this.log.push('uncork')
  }
  pong(): void {
    this.log.push('pong')
  }
  ping(): void {
    this.log.push('ping')
  }
  pause(): void {
    this.log.push('pause')
  }
  resume(): void {
    this.log.push('resume')
  }
  allowFullSize(): void {
    this.log.push('full size')
  }
  close(code: number, reason: string): void {
    this.log.push(`close ${code} ${reason}`)
  }
  terminate(): void {
    this.log.push('terminate')
  }
}

function ready(): { connection: Connection; socket: FakeSocket } {
  const socket = new FakeSocket()
  const connection = new Connection(1, socket, 0)
  connection.becomeReady(5, 0)
  socket.log.length = 0
  return { connection, socket }
}

describe('connection: a slow client', () => {
  test('over 256 KiB unsent → not read from until all is sent', () => {
    const { connection, socket } = ready()
    socket.bufferedBytes = PAUSE_BYTES
    connection.send(Uint8Array.of(1))
    expect(socket.log).toEqual([])
    socket.bufferedBytes = PAUSE_BYTES + 1
    connection.send(Uint8Array.of(2))
    connection.send(Uint8Array.of(3))
    expect(socket.log).toEqual(['pause'])
    connection.resume()
    expect(socket.log).toEqual(['pause', 'resume'])
    expect(socket.sent).toHaveLength(3)
  })

  test('over 16 MiB unsent → cut off, and nothing more is kept for it', () => {
    const { connection, socket } = ready()
    socket.bufferedBytes = BUFFERED_BYTES_MAX + 1
    connection.send(Uint8Array.of(1))
    expect(socket.log[0]).toContain(`close ${CLOSE_CODES.policy}`)
    expect(socket.log[1]).toBe('terminate')
    connection.send(Uint8Array.of(2))
    expect(socket.sent).toHaveLength(1)
  })
})

describe('connection: signs of life', () => {
  test('two pings without an answer → ended', () => {
    const { connection, socket } = ready()
    for (let round = 1; round <= 3; round += 1) connection.ping(round * PING_INTERVAL_MS)
    expect(socket.log).toEqual(['ping', 'ping', 'terminate'])
  })

  test('pings are answered → stays', () => {
    const { connection, socket } = ready()
    for (let round = 1; round <= 5; round += 1) {
      connection.ping(round * PING_INTERVAL_MS)
      connection.unansweredPings = 0
    }
    expect(socket.log).toEqual(['ping', 'ping', 'ping', 'ping', 'ping'])
  })

  test('a paused client that takes some → stays; one that takes nothing → ended', () => {
    const { connection, socket } = ready()
    socket.bufferedBytes = PAUSE_BYTES * 10
    connection.send(Uint8Array.of(1))
    for (let round = 1; round <= 6; round += 1) {
      socket.bufferedBytes -= 1_000
      connection.ping(round * PING_INTERVAL_MS)
    }
    expect(socket.log).not.toContain('terminate')
    for (let round = 7; round <= 9; round += 1) connection.ping(round * PING_INTERVAL_MS)
    expect(socket.log).toContain('terminate')
  })
})

describe('connection: its end', () => {
  test('a failure → says why, then closes; nothing follows', () => {
    const { connection, socket } = ready()
    connection.fail('PROTOCOL', CLOSE_CODES.protocol, 'what is this?')
    connection.fail('PROTOCOL', CLOSE_CODES.protocol, 'and this?')
    expect(socket.sent.map(decodeNodeMessage)).toEqual([
      { type: 'failure', code: ERROR_RULES.PROTOCOL.wire, message: 'what is this?' },
    ])
    expect(socket.log).toEqual([`close ${CLOSE_CODES.protocol} what is this?`])
  })

  test('a long reason → fits a close frame', () => {
    const { connection, socket } = ready()
    connection.close(CLOSE_CODES.protocol, '€'.repeat(500))
    const reason = socket.log[0]!.slice(`close ${CLOSE_CODES.protocol} `.length)
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123)
  })

  test('it was paused → reads again, to see the answer to its close', () => {
    const { connection, socket } = ready()
    connection.pause()
    connection.close(CLOSE_CODES.goingAway, 'bye')
    expect(socket.log).toEqual(['pause', 'resume', `close ${CLOSE_CODES.goingAway} bye`])
  })
})
