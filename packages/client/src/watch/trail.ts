/**
 * Where a consumer was when it got an event, for as long as anybody holds the event. Pure.
 *
 * An event keeps one step: the position in its own shard, and what came before it. Positions of all
 * shards are put together only when a cursor is read, from at most `STEPS_MAX` steps and the
 * positions they began with, so that an event costs the same however many shards there are.
 */
import type { ShardPosition } from './watch-cursor.js'

const STEPS_MAX = 64

export interface Step {
  /** Positions by index of the shard, before any step. */
  readonly base: readonly ShardPosition[]
  readonly before: Step | undefined
  readonly index: number
  readonly position: ShardPosition
  readonly count: number
}

/** A step that stands for these positions. */
export function firstStep(base: readonly ShardPosition[]): Step {
  return { base, before: undefined, index: -1, position: base[0]!, count: 0 }
}

export function stepAfter(last: Step, index: number, position: ShardPosition): Step {
  if (last.count < STEPS_MAX) {
    return { base: last.base, before: last, index, position, count: last.count + 1 }
  }
  const base = positionsAt(last)
  base[index] = position
  return firstStep(base)
}

export function positionsAt(step: Step): ShardPosition[] {
  const positions = Array.from(step.base)
  const known = new Set<number>([-1])
  for (let at: Step | undefined = step; at !== undefined; at = at.before) {
    if (known.has(at.index)) continue
    known.add(at.index)
    positions[at.index] = at.position
  }
  return positions
}
