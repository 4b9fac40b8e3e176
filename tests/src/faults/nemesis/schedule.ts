/**
 * Which fault comes when: the same for the same seed. Pure.
 */
import type { DiskEffect, DiskFault } from '../disk/disk-faults.js'
import type { FileOperation, FileTarget } from '../inside/file-layer.js'
import type { SeededRandom } from '../../load/seeded-random.js'

export type Fault =
  /** kill -9 of this many children at once. */
  | { readonly type: 'kill-children'; readonly count: number }
  | { readonly type: 'kill-coordinator' }
  /** Coordinator and children at once: as a power cut, but for what the system has buffered. */
  | { readonly type: 'kill-all' }
  /** The coordinator is killed again and again while it starts. */
  | { readonly type: 'restart-storm'; readonly kills: number; readonly lifeMs: number }
  | { readonly type: 'stop-children'; readonly count: number; readonly ms: number }
  /** As kill-all, and one of the copies of a shard is gone, if there are several in sync. */
  | { readonly type: 'lose-copy' }
  /** A backup, and so long afterwards its primary. */
  | { readonly type: 'kill-in-turn'; readonly gapMs: number }
  /**
   * A backup is killed; when it is in sync again it is stopped for so long, and its primary killed
   * after a moment. `isLost`: its files are gone, too; `isHeld`: no answer reaches a client meanwhile.
   */
  | {
      readonly type: 'strike-at-join'
      readonly stopMs: number
      readonly afterMs: number
      readonly isLost: boolean
      readonly isHeld: boolean
    }
  /** As kill-all, and files of a copy are damaged that can be built anew. */
  | { readonly type: 'damage' }
  | { readonly type: 'stop-coordinator'; readonly ms: number }
  /** The node is to have another number of children; `pick` says which of those that may be. */
  | { readonly type: 'scale'; readonly pick: number }
  /** One of how many lines is cut. */
  | { readonly type: 'cut'; readonly oneOf: number }
  | { readonly type: 'hold'; readonly ms: number }
  | { readonly type: 'delay'; readonly ms: number; readonly byMs: number }
  /** What the disk under logs, journals or the topology does for so long. */
  | { readonly type: 'disk'; readonly ms: number; readonly disk: DiskFault }
  /** The file system itself is full for so long; nothing happens where none could be mounted. */
  | { readonly type: 'fill'; readonly ms: number; readonly leftBytes: number }

export interface Planned {
  /** Since the fault before, or since what it brought about is over. */
  readonly afterMs: number
  /** It comes only when this part of the shards is served again: what is never up is never hit at work. */
  readonly servedPart: number
  readonly fault: Fault
}

const WEIGHTS: readonly (readonly [number, (random: SeededRandom) => Fault])[] = [
  [60, () => ({ type: 'kill-children', count: 1 })],
  [30, (random) => ({ type: 'kill-children', count: 2 + random.below(2) })],
  [6, () => ({ type: 'kill-coordinator' })],
  [4, () => ({ type: 'kill-all' })],
  [2, (random) => ({ type: 'restart-storm', kills: 2, lifeMs: random.below(400) })],
  // Some longer than the node waits for a child that does not answer: it must be replaced.
  [8, (random) => ({ type: 'stop-children', count: 1, ms: 10 + random.below(2_500) })],
  [3, (random) => ({ type: 'stop-children', count: 2, ms: 10 + random.below(1_500) })],
  [2, () => ({ type: 'lose-copy' })],
  [6, (random) => ({ type: 'kill-in-turn', gapMs: 5 + random.below(300) })],
  [3, () => ({ type: 'damage' })],
  [5, (random) => ({ type: 'stop-coordinator', ms: 50 + random.below(1_000) })],
  [14, (random) => ({ type: 'cut', oneOf: 1 + random.below(4) })],
  [5, (random) => ({ type: 'hold', ms: 50 + random.below(1_000) })],
  [4, (random) => ({ type: 'delay', ms: 300 + random.below(700), byMs: 1 + random.below(30) })],
  [14, diskFault],
  [
    2,
    (random) => ({ type: 'fill', ms: 100 + random.below(900), leftBytes: random.below(300_000) }),
  ],
]

/** Where there are several copies, these come as well. */
const WEIGHTS_OF_COPIES: typeof WEIGHTS = [[40, strikeAtJoin]]

/** Where the number of children may change, these come as well. */
const WEIGHTS_OF_SCALING: typeof WEIGHTS = [
  [24, (random) => ({ type: 'scale', pick: random.below(1_000) })],
]

const LOG_TARGETS: readonly (readonly FileTarget[])[] = [
  ['journal'],
  ['segment'],
  ['temporary'],
  ['state'],
  ['snapshot', 'snapshots'],
  ['journal', 'segment', 'temporary', 'state', 'binding', 'mark', 'directory', 'snapshot'],
]
const ALL_OPERATIONS: readonly FileOperation[] = [
  'open',
  'write',
  'sync',
  'rename',
  'unlink',
  'syncDirectory',
]

function strikeAtJoin(random: SeededRandom): Fault {
  const isHeld = random.below(3) === 0
  const afterMs = 20 + random.below(300)
  // While nobody hears anything nobody sends: there is nothing that a copy that stands still could miss.
  const stopMs = isHeld ? 0 : afterMs + random.below(300)
  return {
    type: 'strike-at-join',
    stopMs,
    afterMs,
    isLost: isHeld || random.below(3) === 0,
    isHeld,
  }
}

function diskFault(random: SeededRandom): Fault {
  const seed = random.next()
  const effect = diskEffect(random)
  const onTopology = effect.type !== 'short' && random.below(5) === 0
  const targets: readonly FileTarget[] = onTopology
    ? ['topology', 'directory']
    : random.pick(LOG_TARGETS)
  const operations = random.below(3) === 0 ? ALL_OPERATIONS : (['write', 'sync'] as const)
  const oneIn = effect.type === 'hang' || effect.type === 'full' ? 1 : 1 + random.below(20)
  const ms = 50 + random.below(effect.type === 'hang' ? 2_500 : 1_200)
  return { type: 'disk', ms, disk: { effect, targets, operations, oneIn, seed } }
}

function diskEffect(random: SeededRandom): DiskEffect {
  switch (random.below(6)) {
    case 0:
      return { type: 'hang' }
    case 1:
      return { type: 'full' }
    case 2:
      return { type: 'short' }
    case 3:
      return { type: 'slow', ms: 5 + random.below(400) }
    default:
      return { type: 'fail' }
  }
}

/**
 * One fault in four comes into what the one before has left. Two wait for most of the shards: these
 * keep the load up, and who opens the others is met at that. One waits for all: the last to be opened
 * are mostly the same, and would never be served.
 */
const SERVED_PARTS = [0, 0.75, 0.75, 1] as const
/** Where copies must be in sync besides, all of them seldom are: hardly a fault would come. */
const SERVED_PARTS_OF_COPIES = [0, 0.75, 0.75, 0.75] as const

export interface Scope {
  readonly gapMsMax: number
  /** Copies of each shard. */
  readonly replicas: number
  /** Whether children come and go. */
  readonly scales?: boolean
  /** Those that may come; all if it is left out. */
  readonly kinds?: readonly string[] | undefined
}

export function nextFault(
  random: SeededRandom,
  { gapMsMax, replicas, kinds, scales = false }: Scope,
): Planned {
  const afterMs = 50 + random.below(gapMsMax)
  const servedPart = random.pick(replicas > 1 ? SERVED_PARTS_OF_COPIES : SERVED_PARTS)
  const weights = [
    ...WEIGHTS,
    ...(replicas > 1 ? WEIGHTS_OF_COPIES : []),
    ...(scales ? WEIGHTS_OF_SCALING : []),
  ]
  const total = weights.reduce((sum, [weight]) => sum + weight, 0)
  for (;;) {
    const fault = faultAt(weights, random, random.below(total))
    if (kinds === undefined || kinds.includes(fault.type)) return { afterMs, servedPart, fault }
  }
}

function faultAt(weights: typeof WEIGHTS, random: SeededRandom, weightAt: number): Fault {
  let at = weightAt
  for (const [weight, make] of weights) {
    if (at < weight) return make(random)
    at -= weight
  }
  throw new RangeError('the weights do not add up')
}
