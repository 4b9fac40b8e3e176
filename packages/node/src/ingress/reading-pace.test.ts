import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Connection } from './connection.js'
import { PACE_MESSAGES_MAX, PACE_MS, ReadingPace } from './reading-pace.js'
import { StillSocket } from './testing/still-socket.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function connect(number: number): { connection: Connection; socket: StillSocket } {
  const socket = new StillSocket()
  return { connection: new Connection(number, socket, 0), socket }
}

const MESSAGE = new Uint8Array(10)

class PaceUnderTest {
  /** Messages handled, by connection. */
  readonly handled = new Map<Connection, number>()
  readonly pace = new ReadingPace({
    handle: (connection) => {
      this.count(connection)
    },
    onReleased: () => undefined,
  })

  say(connection: Connection, messages: number, bytes: Uint8Array = MESSAGE): void {
    for (let message = 0; message < messages; message += 1) {
      if (this.pace.admits(connection, bytes)) this.count(connection)
    }
  }

  of(connection: Connection): number {
    return this.handled.get(connection) ?? 0
  }

  private count(connection: Connection): void {
    this.handled.set(connection, this.of(connection) + 1)
  }
}

describe('reading pace (P7)', () => {
  test('as many messages as are allowed, again and again → read all the time', () => {
    const under = new PaceUnderTest()
    const { connection, socket } = connect(1)
    for (let step = 0; step < 100; step += 1) {
      under.say(connection, PACE_MESSAGES_MAX - 10)
      expect(socket.isReading).toBe(true)
      vi.advanceTimersByTime(PACE_MS)
    }
  })

  test('far more at once → not read from; what has come is taken in step by step, all of it', () => {
    const under = new PaceUnderTest()
    const { connection, socket } = connect(1)
    under.say(connection, 10_000)
    expect(socket.isReading).toBe(false)
    expect(under.of(connection)).toBeLessThan(PACE_MESSAGES_MAX + 1)
    let before = under.of(connection)
    for (let step = 0; step < 10; step += 1) {
      vi.advanceTimersByTime(PACE_MS)
      expect(under.of(connection) - before).toBeLessThan(PACE_MESSAGES_MAX)
      before = under.of(connection)
    }
    vi.advanceTimersByTime(60 * PACE_MS)
    expect(under.of(connection)).toBe(10_000)
    expect(socket.isReading).toBe(true)
  })

  test('large messages → count by their bytes', () => {
    const under = new PaceUnderTest()
    const { connection, socket } = connect(1)
    under.say(connection, 5, new Uint8Array(1_048_576))
    expect(socket.isReading).toBe(false)
    expect(under.of(connection)).toBe(4)
  })

  test('many that say too much → together they get what one may have; who does not is heard at once', () => {
    const under = new PaceUnderTest()
    const floods = Array.from({ length: 100 }, (_, index) => connect(index))
    for (const { connection } of floods) under.say(connection, 5_000)
    const all = (): number => floods.reduce((sum, { connection }) => sum + under.of(connection), 0)
    const before = all()
    vi.advanceTimersByTime(500 * PACE_MS)
    expect(all() - before).toBeLessThan(500 * PACE_MESSAGES_MAX)
    const modest = connect(1_000)
    under.say(modest.connection, 10)
    expect(under.of(modest.connection)).toBe(10)
    expect(modest.socket.isReading).toBe(true)
  })

  test('gone while messages wait → they are not handled', () => {
    const under = new PaceUnderTest()
    const { connection } = connect(1)
    under.say(connection, 5_000)
    const before = under.of(connection)
    under.pace.forget(connection)
    vi.advanceTimersByTime(100 * PACE_MS)
    expect(under.of(connection)).toBe(before)
  })

  test('nobody says anything → no timer', () => {
    const under = new PaceUnderTest()
    under.say(connect(1).connection, 1)
    vi.advanceTimersByTime(PACE_MS)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('held, and its backlog is full too → read again only when both are over', () => {
    const { connection, socket } = connect(1)
    connection.hold()
    connection.pause()
    connection.release()
    expect(socket.isReading).toBe(false)
    connection.hold()
    connection.resume()
    expect(socket.isReading).toBe(false)
    connection.release()
    expect(socket.isReading).toBe(true)
  })
})
