import type { Batch } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Connection } from './connection.js'
import { LaneQueue } from './lane-queue.js'
import { StillSocket } from './testing/still-socket.js'

function start() {
  const queue = new LaneQueue()
  const connections = new Map<number, Connection>()
  const add = (number: number, id: number, bytes: number): void => {
    const connection = connections.get(number) ?? new Connection(number, new StillSocket(), 0)
    connections.set(number, connection)
    queue.add(connection, batchOf(id, bytes))
  }
  /** Who is next, and with which batch. */
  const take = (): string | undefined => {
    const next = queue.take()
    return next === undefined ? undefined : `${next.connection.number}: ${next.batch.id}`
  }
  const takeAll = (): string[] => {
    const taken: string[] = []
    for (let next = take(); next !== undefined; next = take()) taken.push(next)
    return taken
  }
  return { queue, add, take, takeAll }
}

function batchOf(id: number, bytes: number): Batch {
  const body = new Uint8Array(bytes)
  return { type: 'batch', id, child: 1, topologyVersion: 1, remainingMs: 1, body }
}

describe('lane queue', () => {
  test('P7: one small batch behind a hundred connections with all they may send → is next', () => {
    const { add, take } = start()
    for (let batch = 1; batch <= 20; batch += 1) {
      for (let greedy = 1; greedy <= 100; greedy += 1) add(greedy, batch, 100_000)
    }
    for (let taken = 0; taken < 250; taken += 1) take()
    for (let call = 1; call <= 5; call += 1) {
      add(101, call, 100)
      expect(take()).toBe(`101: ${call}`)
    }
  })

  test('P7: two that send all they may, in batches of other sizes → equal parts of the bytes', () => {
    const { add, take } = start()
    for (let batch = 1; batch <= 100; batch += 1) add(1, batch, 100_000)
    for (let batch = 1; batch <= 1_000; batch += 1) add(2, batch, 10_000)
    const taken = Array.from({ length: 220 }, take)
    const large = taken.filter((name) => name?.startsWith('1: ')).length
    expect(large).toBeGreaterThanOrEqual(18)
    expect(large).toBeLessThanOrEqual(22)
  })

  test('P4: whatever comes and goes → each connection in its order, nothing of who is gone', () => {
    const step = fc.record({
      number: fc.integer({ min: 1, max: 5 }),
      bytes: fc.nat(100_000),
      what: fc.constantFrom('add', 'add', 'take', 'leave'),
    })
    const schedule = (steps: { number: number; bytes: number; what: string }[]): void => {
      const { queue, add, take, takeAll } = start()
      const due = new Map<number, string[]>()
      const check = (name: string | undefined): void => {
        const number = Number(name?.split(':')[0] ?? 0)
        expect(name).toBe(due.get(number)?.shift())
      }
      for (const [id, { number, bytes, what }] of steps.entries()) {
        if (what === 'take') check(take())
        else if (what === 'leave') {
          queue.forget(number)
          due.delete(number)
        } else {
          add(number, id, bytes)
          due.set(number, [...(due.get(number) ?? []), `${number}: ${id}`])
        }
      }
      for (const name of takeAll()) check(name)
      expect([...due.values()].flat()).toEqual([])
      expect(queue.isWaiting).toBe(false)
    }
    fc.assert(fc.property(fc.array(step, { maxLength: 100 }), schedule))
  })

  test('very many batches of one connection → all of them, in order', () => {
    const { add, takeAll } = start()
    for (let batch = 1; batch <= 5_000; batch += 1) add(1, batch, 10)
    expect(takeAll()).toEqual(Array.from({ length: 5_000 }, (_, index) => `1: ${index + 1}`))
  })
})
