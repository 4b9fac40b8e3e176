/**
 * What a call costs in memory, in processes that only make calls, against what is stored of it
 * (`fixtures/cost.json`). Nothing is measured by the clock: a busy machine changes nothing.
 */
import { describe, expect, test } from 'vitest'
import { excess, measure, storedFigures } from './cost/measure.js'

/** Ten seconds for both, alone on the machine. */
const PATIENCE = { timeout: 120_000 }

describe('a call of client, protocol and child', () => {
  test('allocates at most half as much again as is stored', PATIENCE, async () => {
    expect(excess(await measure('allocated'), storedFigures('allocated'))).toEqual([])
  })

  test(
    'leaves next to nothing that only a full collection takes away, once it is answered',
    PATIENCE,
    async () => {
      expect(excess(await measure('kept'), storedFigures('kept'))).toEqual([])
    },
  )
})

describe('what is too much', () => {
  test('is more than half as much again, and more than 32 bytes', () => {
    expect(excess({ get: 1_533 }, { get: 1_000 })).toEqual([
      'get: 1533 bytes a call, 1000 are stored',
    ])
    expect(excess({ get: 1_532, set: 32 }, { get: 1_000, set: 0 })).toEqual([])
  })

  test('is what nobody has stored, or measured', () => {
    expect(excess({ get: 1 }, { set: 1 })).toHaveLength(2)
  })
})
