import { describe, expect, test } from 'vitest'
import { CLIENTS_MAX, Ways } from './ways.js'

const RELAYED = {}
const DIRECT = {}

describe('ways of a client (P4)', () => {
  test('one way → everything is taken, in whatever order it is numbered', () => {
    const ways = new Ways()
    for (const id of [1, 2, 9, 3]) expect(ways.admits(7, RELAYED, id)).toBe(true)
  })

  test('a newer batch by another way → what comes late by the former is not executed', () => {
    const ways = new Ways()
    expect(ways.admits(7, RELAYED, 1)).toBe(true)
    expect(ways.admits(7, DIRECT, 3)).toBe(true)
    expect(ways.admits(7, RELAYED, 2)).toBe(false)
    expect(ways.admits(7, DIRECT, 4)).toBe(true)
  })

  test('back to the former way → its newer batches are taken, late ones of the other are not', () => {
    const ways = new Ways()
    for (const [way, id] of [
      [DIRECT, 3],
      [RELAYED, 5],
    ] as const) {
      expect(ways.admits(7, way, id)).toBe(true)
    }
    expect(ways.admits(7, DIRECT, 4)).toBe(false)
    expect(ways.admits(7, RELAYED, 6)).toBe(true)
  })

  test('more clients than are remembered → those who write are, whoever came first', () => {
    const ways = new Ways()
    ways.admits(7, DIRECT, 5)
    for (let client = 100; client < 100 + 2 * CLIENTS_MAX; client += 1) {
      ways.admits(client, DIRECT, 1)
      if (client % 1_000 === 0) ways.admits(7, DIRECT, 6)
    }
    expect(ways.admits(7, RELAYED, 4)).toBe(false)
    expect(ways.admits(100, RELAYED, 0)).toBe(true)
  })

  test('other clients → each by itself', () => {
    const ways = new Ways()
    expect(ways.admits(7, DIRECT, 9)).toBe(true)
    expect(ways.admits(8, RELAYED, 1)).toBe(true)
  })
})
