import { describe, expect, test } from 'vitest'
import type { Grown, Growing } from './growth.js'
import { grow } from './growth.js'
import { FULL_TIMING, PARTS } from './plan.js'

const TIMING = { ...FULL_TIMING, rounds: 1, restSeconds: 0 }

/** Takes 200 bytes a key and a microsecond to start for each; holds as many keys as said. */
function store(keysMax = Number.POSITIVE_INFINITY): Growing {
  let filled = 0
  return {
    fill: async (keys) => {
      if (keys > keysMax) throw new Error('is full')
      filled = keys
    },
    run: () => Promise.resolve({ noCall: 'is not measured here' }),
    memoryBytes: () => Promise.resolve(1_000_000 + filled * 200),
    restartMs: (keys) => Promise.resolve(keys / 1_000),
  }
}

describe('stores that grow', () => {
  test('each stage hands out what there is so far, of those that are full why', async () => {
    const stages: Grown[] = []
    await grow(
      PARTS.filter(({ name }) => ['memory', 'restart'].includes(name)),
      {
        timing: TIMING,
        runners: new Map([
          ['kv-direct', store()],
          ['redis-always', store(2_000_000)],
        ]),
        say: () => undefined,
        settleMs: 0,
        onStage: async (grown) => {
          stages.push(grown)
        },
      },
    )
    expect(stages.map(({ memory }) => memory.length)).toEqual([2, 4])
    expect(stages.at(-1)?.memory).toMatchObject([
      { contender: 'kv-direct', keys: 1_000_000, values: [200] },
      { contender: 'redis-always', keys: 1_000_000, values: [200] },
      { contender: 'kv-direct', keys: 10_000_000, values: [200] },
      { contender: 'redis-always', keys: 10_000_000, values: [], missing: 'failed: is full' },
    ])
    expect(stages.at(-1)?.restart[0]).toMatchObject({ values: [1_000, 1_000, 1_000] })
  })
})
