import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OpeningTurns } from './opening-turns.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Openings that were asked for, by number, and those whose turn has come. */
async function asked(turns: OpeningTurns, count: number): Promise<Map<number, () => void>> {
  const begun = new Map<number, () => void>()
  for (let number = 1; number <= count; number += 1) {
    void turns.begin().then((end) => begun.set(number, end))
  }
  await vi.advanceTimersByTimeAsync(0)
  return begun
}

describe('opening turns', () => {
  test('more than a few → the others wait, and follow in the order they came', async () => {
    const begun = await asked(new OpeningTurns(), 6)
    expect([...begun.keys()]).toEqual([1, 2, 3])
    begun.get(2)!()
    begun.get(1)!()
    await vi.advanceTimersByTimeAsync(0)
    expect([...begun.keys()]).toEqual([1, 2, 3, 4, 5])
  })

  test('an end told twice → makes room once', async () => {
    const begun = await asked(new OpeningTurns(), 6)
    begun.get(1)!()
    begun.get(1)!()
    await vi.advanceTimersByTimeAsync(0)
    expect([...begun.keys()]).toEqual([1, 2, 3, 4])
  })

  test('openings that hang → do not keep the others', async () => {
    const begun = await asked(new OpeningTurns(), 5)
    await vi.advanceTimersByTimeAsync(1_000)
    expect([...begun.keys()]).toEqual([1, 2, 3, 4, 5])
  })
})
