import { describe, expect, test } from 'vitest'
import type { ContenderName } from './contender-names.js'
import type { Load } from './loads/load.js'
import { loadOf } from './plan.js'
import type { Timing } from './plan.js'
import type { Runner } from './rounds.js'
import { rotated, runLoads } from './rounds.js'
import type { Ran } from './stand/commands.js'

const TIMING: Timing = {
  rounds: 3,
  readSeconds: 1,
  writeSeconds: 2,
  warmUpSeconds: 5,
  beforeSeconds: 0.3,
  restSeconds: 0,
}

function ranAt(callsPerSecond: number): Ran {
  return { calls: 1, callsPerSecond, p50Ms: 1, p99Ms: 1, maxMs: 1, clientMicrosPerCall: 1 }
}

function field(
  names: readonly ContenderName[],
  run: (name: ContenderName, load: Load) => Ran = () => ranAt(1),
): { runners: Map<ContenderName, Runner>; done: string[] } {
  const done: string[] = []
  const runners = new Map<ContenderName, Runner>()
  for (const name of names) {
    runners.set(name, {
      fill: () => Promise.resolve(),
      run: async (load, seconds) => {
        done.push(`${name} ${load.kind} ${load.inFlight}: ${seconds}`)
        return run(name, load)
      },
    })
  }
  return { runners, done }
}

describe('rounds', () => {
  test('all take turns in each round, and each round begins with another', async () => {
    const { runners, done } = field(['kv', 'redis-always', 'etcd'])
    const contenders: ContenderName[] = ['kv', 'redis-always', 'etcd']
    await runLoads([{ load: loadOf('get', 1), contenders }], { timing: TIMING, runners })
    const turns = done.filter((line) => line.endsWith(': 1')).map((line) => line.split(' ')[0])
    expect(turns.slice(0, 3)).toEqual(['kv', 'redis-always', 'etcd'])
    expect(turns.slice(3, 6)).toEqual(['redis-always', 'etcd', 'kv'])
    expect(turns.slice(6)).toEqual(['etcd', 'kv', 'redis-always'])
  })

  test('before the first cell of an operation there is a long warm-up, before every cell a short one', async () => {
    const { runners, done } = field(['kv'])
    const plan = [1, 256].map((inFlight) => ({
      load: loadOf('set', inFlight),
      contenders: ['kv' as const],
    }))
    await runLoads(plan, { timing: { ...TIMING, rounds: 1 }, runners })
    expect(done).toEqual([
      'kv set 1: 5',
      'kv set 1: 0.3',
      'kv set 1: 2',
      'kv set 256: 0.3',
      'kv set 256: 2',
    ])
  })

  test('a store that fails, or has no such call, says why and does not hold up the others', async () => {
    const { runners, done } = field(['kv', 'etcd', 'nats'], (name) => {
      if (name === 'etcd') throw new Error('is full')
      return name === 'nats' ? { noCall: 'has no call for list' } : ranAt(7)
    })
    const contenders: ContenderName[] = ['etcd', 'nats', 'kv', 'deno-kv']
    const [etcd, nats, kv, ...others] = await runLoads([{ load: loadOf('list', 1), contenders }], {
      timing: TIMING,
      runners,
    })
    expect(etcd).toMatchObject({ contender: 'etcd', rounds: [], missing: 'failed: is full' })
    expect(nats).toMatchObject({ rounds: [], missing: 'has no call for list' })
    expect(kv?.rounds).toHaveLength(3)
    expect(others).toEqual([])
    expect(done.filter((line) => line.startsWith('etcd'))).toHaveLength(1)
  })

  test('nobody is left out when the order is rotated', () => {
    expect(rotated([1, 2, 3], 4)).toEqual([2, 3, 1])
    expect(rotated([], 4)).toEqual([])
  })
})
