import { CLOSE_CODES } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { Connection } from './connection.js'
import { ARRIVING_MS_MAX, Pressure } from './pressure.js'
import { StillSocket } from './testing/still-socket.js'

const LIMITS = { arrivingBytesMax: 1_000, backlogBytesMax: 1_000_000 }

function start() {
  const pressure = new Pressure(LIMITS)
  let number = 0
  const connect = (): { connection: Connection; socket: StillSocket } => {
    number += 1
    const socket = new StillSocket()
    const connection = new Connection(number, socket, 0)
    connection.becomeReady(number, 0)
    connection.onBacklog = (bytes) => pressure.onBacklog(connection, bytes)
    return { connection, socket }
  }
  return { pressure, connect }
}

describe('pressure: messages that arrive (P7)', () => {
  test('together over the limit → those that began first are cut off, until there is room', () => {
    const { pressure, connect } = start()
    const all = Array.from({ length: 6 }, connect)
    for (const [index, { connection }] of all.entries()) pressure.onPart(connection, 200, index)
    expect(all.map(({ socket }) => socket.closed)).toEqual([
      CLOSE_CODES.policy,
      CLOSE_CODES.policy,
      CLOSE_CODES.policy,
      CLOSE_CODES.policy,
      undefined,
      undefined,
    ])
    expect(all[0]?.socket.isTerminated).toBe(true)
  })

  test('complete, or gone → no longer counted', () => {
    const { pressure, connect } = start()
    const [one, other] = [connect(), connect()]
    for (let message = 0; message < 50; message += 1) {
      pressure.onPart(one.connection, 400, 0)
      pressure.onPart(one.connection, 400, 0)
      pressure.onWhole(one.connection)
      pressure.onPart(other.connection, 200, 0)
      pressure.forget(other.connection)
    }
    expect([one.socket.closed, other.socket.closed]).toEqual([undefined, undefined])
  })

  test('for too long → cut off; one that is not read from is left alone', () => {
    const { pressure, connect } = start()
    const [slow, paused, fresh] = [connect(), connect(), connect()]
    pressure.onPart(slow.connection, 1, 0)
    pressure.onPart(paused.connection, 1, 0)
    paused.connection.pause()
    pressure.onPart(fresh.connection, 1, 10)
    pressure.sweep(ARRIVING_MS_MAX)
    expect(slow.socket.closed).toBe(CLOSE_CODES.policy)
    expect(paused.socket.closed).toBeUndefined()
    expect(fresh.socket.closed).toBeUndefined()
  })
})

describe('pressure: what is not taken (P7)', () => {
  test('together over the limit → the largest is cut off, the others go on', () => {
    const { connect } = start()
    const all = [300_000, 500_000, 250_000].map((bytes) => ({ ...connect(), bytes }))
    for (const { connection, socket, bytes } of all) {
      socket.bufferedBytes = bytes
      connection.send(Uint8Array.of(1))
    }
    expect(all.map(({ socket }) => socket.closed)).toEqual([
      undefined,
      CLOSE_CODES.policy,
      undefined,
    ])
  })

  test('taken → no longer counted', () => {
    const { connect } = start()
    for (let client = 0; client < 20; client += 1) {
      const { connection, socket } = connect()
      socket.bufferedBytes = 200_000
      connection.send(Uint8Array.of(1))
      connection.resume()
      expect(socket.closed).toBeUndefined()
    }
  })
})
