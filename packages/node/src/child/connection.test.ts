import { describe, expect, test } from 'vitest'
import { Connection, UNREAD_BYTES_MAX } from './connection.js'

describe('connection: unread replies (P7)', () => {
  test('below the limit → room; at it → none', () => {
    const connection = new Connection(1, 2)
    connection.sent(UNREAD_BYTES_MAX - 1)
    expect(connection.hasRoom).toBe(true)
    connection.sent(1)
    expect(connection.hasRoom).toBe(false)
  })

  test('the client takes enough → called back once', () => {
    const connection = new Connection(1, 2)
    let calls = 0
    connection.sent(UNREAD_BYTES_MAX + 10)
    connection.whenRoom(() => (calls += 1))
    connection.taken(10)
    expect(calls).toBe(0)
    connection.taken(1)
    connection.taken(1)
    expect(calls).toBe(1)
  })

  test('more taken than was sent → no credit for later', () => {
    const connection = new Connection(1, 2)
    connection.taken(500)
    connection.sent(UNREAD_BYTES_MAX)
    expect(connection.hasRoom).toBe(false)
  })

  test('closed → whoever waits is called back, and sees why', () => {
    const connection = new Connection(1, 2)
    let isClosed: boolean | undefined
    connection.sent(UNREAD_BYTES_MAX)
    connection.whenRoom(() => (isClosed = connection.isClosed))
    connection.close()
    expect(isClosed).toBe(true)
  })
})
