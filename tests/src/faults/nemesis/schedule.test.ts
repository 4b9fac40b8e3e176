import { expect, test } from 'vitest'
import { SeededRandom } from '../../load/seeded-random.js'
import { nextFault, type Planned } from './schedule.js'

test('the same seed → the same faults at the same times; every kind comes', () => {
  const planned = (seed: number, replicas = 2): Planned[] => {
    const random = new SeededRandom(seed)
    return Array.from({ length: 1_000 }, () => nextFault(random, { gapMsMax: 500, replicas }))
  }
  expect(planned(5)).toEqual(planned(5))
  expect(planned(5)).not.toEqual(planned(6))
  expect(kindsIn(planned(7))).toEqual([
    'cut',
    'damage',
    'delay',
    'disk',
    'fill',
    'hold',
    'kill-all',
    'kill-children',
    'kill-coordinator',
    'kill-in-turn',
    'lose-copy',
    'restart-storm',
    'stop-children',
    'stop-coordinator',
    'strike-at-join',
  ])
  const random = new SeededRandom(7)
  const scope = { gapMsMax: 500, replicas: 1, scales: true }
  const scaled = Array.from({ length: 1_000 }, () => nextFault(random, scope))
  expect(kindsIn(scaled)).toContain('scale')
  expect(kindsIn(planned(7, 1))).not.toContain('strike-at-join')
})

function kindsIn(planned: readonly Planned[]): string[] {
  return [...new Set(planned.map(({ fault }) => fault.type))].toSorted()
}
