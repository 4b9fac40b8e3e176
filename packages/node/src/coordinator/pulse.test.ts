import { describe, expect, test } from 'vitest'
import { Pulse } from './pulse.js'
import type { PulseResult } from './pulse.js'

const INTERVAL_MS = 250
const TIMEOUT_MS = 1_000
const LITTLE_LATE_MS = 90

/** A pulse with one child, and turns at will. */
function setUp(): { pulse: Pulse; turn: (lateMs?: number, drainMs?: number) => PulseResult } {
  const pulse = new Pulse({ intervalMs: INTERVAL_MS, timeoutMs: TIMEOUT_MS })
  pulse.add(1)
  let nowMs = 0
  return {
    pulse,
    turn: (lateMs = 0, drainMs = 0) => {
      nowMs += INTERVAL_MS + lateMs
      return pulse.turn(nowMs, nowMs + drainMs)
    },
  }
}

describe('pulse', () => {
  test('a child answers → it is pinged again at the next turn and never missed', () => {
    const { pulse, turn } = setUp()
    for (let round = 0; round < 20; round += 1) {
      const { ping, missed } = turn()
      expect(missed).toEqual([])
      expect(ping).toHaveLength(1)
      pulse.answered(1, ping[0]!.nonce)
    }
  })

  test('a ping is unanswered → no second one is sent', () => {
    const { turn } = setUp()
    expect(turn().ping).toHaveLength(1)
    expect(turn().ping).toEqual([])
  })

  test('silence beyond the time-out, in turns on time → missed at the second of them', () => {
    const { turn } = setUp()
    turn()
    const found = Array.from({ length: 5 }, () => turn().missed)
    expect(found).toEqual([[], [], [], [], [1]])
  })

  test('timers fire a little late every time → the time that passed counts, not the plan', () => {
    const { turn } = setUp()
    turn()
    const found = Array.from({ length: 4 }, () => turn(LITTLE_LATE_MS).missed)
    expect(found).toEqual([[], [], [], [1]])
  })

  test('the coordinator itself was away → that turn does not count, however long it was', () => {
    const { turn } = setUp()
    turn()
    for (let round = 0; round < 50; round += 1) expect(turn(60_000).missed).toEqual([])
  })

  test('every other turn is late → never two in a row, never missed', () => {
    const { turn } = setUp()
    turn()
    for (let round = 0; round < 50; round += 1) {
      expect(turn(0).missed).toEqual([])
      expect(turn(500).missed).toEqual([])
    }
  })

  test('the queue took long to drain → the turn counts as late', () => {
    const { turn } = setUp()
    turn()
    for (let round = 0; round < 50; round += 1) expect(turn(0, 500).missed).toEqual([])
  })

  test('an answer to an older ping → does not count', () => {
    const { pulse, turn } = setUp()
    const first = turn().ping[0]!.nonce
    pulse.answered(1, first)
    turn()
    pulse.answered(1, first)
    expect(turn().ping).toEqual([])
  })

  test('a child that was removed → neither pinged nor missed', () => {
    const { pulse, turn } = setUp()
    turn()
    pulse.remove(1)
    for (let round = 0; round < 10; round += 1) expect(turn()).toEqual({ ping: [], missed: [] })
  })
})
