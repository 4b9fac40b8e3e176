/**
 * Which fault comes when: the same for the same seed. Pure.
 */
import type { SeededRandom } from '../../load/seeded-random.js'

export type Fault =
  /** kill -9 of this many children at once. */
  | { readonly type: 'kill-children'; readonly count: number }
  | { readonly type: 'kill-coordinator' }
  /** Coordinator and children at once: as a power cut, but for what the system has buffered. */
  | { readonly type: 'kill-all' }
  /** The coordinator is killed again and again while it starts. */
  | { readonly type: 'restart-storm'; readonly kills: number; readonly lifeMs: number }
  | { readonly type: 'stop-child'; readonly ms: number }
  | { readonly type: 'stop-coordinator'; readonly ms: number }
  /** One of how many lines is cut. */
  | { readonly type: 'cut'; readonly oneOf: number }
  | { readonly type: 'hold'; readonly ms: number }
  | { readonly type: 'delay'; readonly ms: number; readonly byMs: number }

export interface Planned {
  /** Since the fault before. */
  readonly afterMs: number
  readonly fault: Fault
}

const WEIGHTS: readonly (readonly [number, (random: SeededRandom) => Fault])[] = [
  [40, () => ({ type: 'kill-children', count: 1 })],
  [12, (random) => ({ type: 'kill-children', count: 2 + random.below(2) })],
  [6, () => ({ type: 'kill-coordinator' })],
  [4, () => ({ type: 'kill-all' })],
  [2, (random) => ({ type: 'restart-storm', kills: 2, lifeMs: random.below(400) })],
  // Some longer than the node waits for a child that does not answer: it must be replaced.
  [10, (random) => ({ type: 'stop-child', ms: 50 + random.below(2_500) })],
  [5, (random) => ({ type: 'stop-coordinator', ms: 50 + random.below(1_000) })],
  [14, (random) => ({ type: 'cut', oneOf: 1 + random.below(4) })],
  [5, (random) => ({ type: 'hold', ms: 50 + random.below(1_000) })],
  [4, (random) => ({ type: 'delay', ms: 300 + random.below(700), byMs: 1 + random.below(30) })],
]

const TOTAL = WEIGHTS.reduce((sum, [weight]) => sum + weight, 0)

export function nextFault(random: SeededRandom, gapMsMax: number): Planned {
  const afterMs = 50 + random.below(gapMsMax)
  let at = random.below(TOTAL)
  for (const [weight, make] of WEIGHTS) {
    if (at < weight) return { afterMs, fault: make(random) }
    at -= weight
  }
  throw new RangeError('the weights do not add up')
}
