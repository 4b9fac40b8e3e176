import { describe, expect, test } from 'vitest'
import { FORGOTTEN, SESSION_IDLE_MS, SessionTable } from './session-table.js'

const ENCODED = Uint8Array.of(0x93, 5, 9, 0)

function first(
  clientId: number,
  sequence: number,
): {
  clientId: number
  sequence: number
  isResend: boolean
} {
  return { clientId, sequence, isResend: false }
}

function again(clientId: number, sequence: number): ReturnType<typeof first> {
  return { clientId, sequence, isResend: true }
}

/** A table with one entry per pair of client and sequence number, at revisions 1, 2, … */
function tableOf(entries: readonly (readonly [number, number])[], bytesMax?: number): SessionTable {
  const table = new SessionTable(bytesMax)
  for (const [index, [clientId, sequence]] of entries.entries()) {
    const revision = index + 1
    table.add({ clientId, sequence, lowWater: 0 }, { revision, answer: revision }, 0)
  }
  return table
}

function reloaded(table: SessionTable, revision: number): SessionTable {
  const { floor, sessions } = table.freeze(revision)
  table.stored()
  const loaded = new SessionTable()
  loaded.load(floor, sessions)
  return loaded
}

describe('sessions: judging (P4)', () => {
  test('a number that was never here → executed, also when it is flagged as sent before', () => {
    const table = tableOf([[1, 5]])
    expect(table.judge(first(1, 6))).toBeUndefined()
    expect(table.judge(again(1, 6))).toBeUndefined()
    expect(table.judge(again(1, 4))).toBeUndefined()
    expect(table.judge(again(2, 5))).toBeUndefined()
  })

  test('a number with a result → that result, whatever kind it is', () => {
    const table = new SessionTable()
    const answers = [7, true, ENCODED]
    for (const [index, answer] of answers.entries()) {
      const entry = { clientId: 1, sequence: index + 1, lowWater: 0 }
      table.add(entry, { revision: 7, answer }, 0)
    }
    for (const [index, answer] of answers.entries()) {
      expect(table.judge(again(1, index + 1))).toEqual({ revision: 7, answer })
    }
  })

  test('numbers in any order, as after a refusal that was sent again → each its own', () => {
    const table = tableOf([5, 3, 4, 9, 1].map((sequence) => [1, sequence] as const))
    expect([1, 3, 4, 5, 9].map((sequence) => table.judge(again(1, sequence)))).toMatchObject([
      { revision: 5 },
      { revision: 2 },
      { revision: 3 },
      { revision: 1 },
      { revision: 4 },
    ])
    expect(table.judge(again(1, 2))).toBeUndefined()
  })

  test('at or below the mark that the client confirmed → never executed', () => {
    const table = tableOf([[1, 1]])
    table.add({ clientId: 1, sequence: 4, lowWater: 2 }, { revision: 2, answer: 2 }, 0)
    expect(table.judge(again(1, 1))).toBe(FORGOTTEN)
    expect(table.judge(first(1, 2))).toBe(FORGOTTEN)
    expect(table.judge(again(1, 3))).toBeUndefined()
  })

  test('an encoded answer → kept, whatever becomes of the memory it was written to', () => {
    const memory = Uint8Array.from(ENCODED)
    const table = new SessionTable()
    table.add({ clientId: 1, sequence: 1, lowWater: 0 }, { revision: 9, answer: memory }, 0)
    memory.fill(0)
    expect(table.judge(again(1, 1))).toEqual({ revision: 9, answer: ENCODED })
  })
})

describe('sessions: eviction', () => {
  test('evicted → a retry can not be judged, a new write can', () => {
    const table = tableOf([[5, 1]])
    table.evict([5], 2)
    expect(table.floor).toBe(5)
    expect(table.judge(again(5, 1))).toBe(FORGOTTEN)
    expect(table.judge(again(4, 1))).toBe(FORGOTTEN)
    expect(table.judge(again(6, 1))).toBeUndefined()
    expect(table.judge(first(5, 2))).toBeUndefined()
  })

  test('P4: evicted, then new writes → what was before them is still not executed again', () => {
    const table = tableOf([[5, 1]])
    table.evict([5], 2)
    table.add({ clientId: 5, sequence: 3, lowWater: 0 }, { revision: 3, answer: 3 }, 0)
    expect(table.judge(again(5, 1))).toBe(FORGOTTEN)
    expect(table.judge(again(5, 3))).toMatchObject({ revision: 3 })
    expect(table.judge(again(5, 4))).toBeUndefined()
  })

  test('idle for the time → evictable, by a clock that never goes back; used → not', () => {
    const table = tableOf([[1, 1]])
    table.begin(1_000)
    table.add({ clientId: 2, sequence: 1, lowWater: 0 }, { revision: 2, answer: 2 }, 900_000)
    expect(table.evictable(1_000 + SESSION_IDLE_MS - 1)).toEqual([])
    expect(table.evictable(11_000 + SESSION_IDLE_MS)).toEqual([1])
  })

  test('P7: above the limit → the least recently used go, once their entry has committed', () => {
    const table = tableOf([], 4_000)
    for (let clientId = 1; clientId <= 20; clientId += 1) {
      const entry = { clientId, sequence: 1, lowWater: 0 }
      table.add(entry, { revision: clientId, answer: clientId }, clientId)
    }
    expect(table.isOverLimit).toBe(true)
    const evicted = table.evictable(100)
    expect(evicted.length).toBeGreaterThan(5)
    expect(evicted).toEqual(evicted.map((_, index) => index + 1))
    table.evicting(evicted, 21)
    expect(table.isOverLimit).toBe(false)
    expect(table.evictable(100)).toEqual([])
    expect(table.judge(again(1, 1))).toMatchObject({ revision: 1 })
    table.committed(21)
    expect(table.bytes).toBeLessThan(4_000)
    expect(table.judge(again(1, 1))).toBe(FORGOTTEN)
    expect(table.judge(again(20, 1))).toMatchObject({ revision: 20 })
  })

  test('P7: one client takes more than half → it goes before those used longer ago', () => {
    const table = tableOf([[1, 1]], 16_000)
    for (let sequence = 1; sequence <= 600; sequence += 1) {
      table.add({ clientId: 2, sequence, lowWater: 0 }, { revision: sequence + 1, answer: 1 }, 9)
    }
    expect(table.evictable(10)).toEqual([2])
  })

  test('the eviction is given up → as if it had never been decided', () => {
    const table = tableOf([[1, 1]])
    table.evicting([1], 2)
    table.discardFrom(2)
    table.committed(5)
    expect(table.judge(again(1, 1))).toMatchObject({ revision: 1 })
    expect(table.floor).toBe(0)
  })
})

describe('sessions: what is given up, and what is stored', () => {
  test('P4: the entry was given up → its number has no result', () => {
    const table = tableOf([
      [1, 1],
      [1, 2],
      [2, 1],
    ])
    table.discardFrom(2)
    expect(table.judge(again(1, 1))).toMatchObject({ revision: 1 })
    expect(table.judge(again(1, 2))).toBeUndefined()
    expect(table.judge(again(2, 1))).toBeUndefined()
    expect(table.size).toBe(1)
  })

  test('stored → what has committed, and next time only what has changed', () => {
    const table = tableOf([
      [1, 1],
      [2, 1],
      [1, 2],
    ])
    const stored = reloaded(table, 2)
    expect(stored.judge(again(1, 1))).toMatchObject({ revision: 1 })
    expect(stored.judge(again(1, 2))).toBeUndefined()
    const { sessions } = table.freeze(3)
    expect(sessions.map(({ clientId }) => clientId)).toEqual([1])
  })

  test('storing failed → the same again', () => {
    const table = tableOf([[1, 1]])
    const changes = table.freeze(1)
    table.add({ clientId: 2, sequence: 1, lowWater: 0 }, { revision: 2, answer: 2 }, 0)
    expect(table.freeze(1)).toBe(changes)
    table.stored()
    expect(table.freeze(2).sessions.map(({ clientId }) => clientId)).toEqual([2])
  })

  test('P7: confirmed results → their memory is given back', () => {
    const table = new SessionTable()
    const add = (sequence: number, lowWater: number): void => {
      table.add({ clientId: 1, sequence, lowWater }, { revision: sequence, answer: ENCODED }, 0)
    }
    add(1, 0)
    const { bytes } = table
    for (let sequence = 2; sequence <= 10_000; sequence += 1) add(sequence, 0)
    expect(table.bytes).toBeGreaterThan(1_000_000)
    for (let step = 0; step < 20; step += 1) add(10_001 + step, 10_000 + step)
    expect(table.bytes).toBeLessThan(bytes + 2_000)
  })
})
