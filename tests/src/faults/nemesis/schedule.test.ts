import { expect, test } from 'vitest'
import { SeededRandom } from '../../load/seeded-random.js'
import { nextFault } from './schedule.js'

test('the same seed → the same faults at the same times; every kind comes', () => {
  const planned = (seed: number): unknown[] => {
    const random = new SeededRandom(seed)
    return Array.from({ length: 1_000 }, () => nextFault(random, 500))
  }
  expect(planned(5)).toEqual(planned(5))
  expect(planned(5)).not.toEqual(planned(6))
  const kinds = new Set(planned(7).map((each) => (each as ReturnType<typeof nextFault>).fault.type))
  expect([...kinds].toSorted()).toEqual([
    'cut',
    'delay',
    'disk',
    'fill',
    'hold',
    'kill-all',
    'kill-children',
    'kill-coordinator',
    'lose-copy',
    'restart-storm',
    'stop-children',
    'stop-coordinator',
  ])
})
