/** What the planner makes of another number of children. */
import { describe, expect, test } from 'vitest'
import type { ChildState } from './child-state.js'
import { absentChild } from './child-state.js'
import type { NodeState } from './node-state.js'
import { carryOut, firstTopology, observe } from './node-state.js'
import { plan } from './plan.js'
import { isSettled, movesToCome } from './settled.js'
import type { ShardState } from './shard-state.js'
import type { Step } from './step.js'
import { openShard as open, readyChild as ready, shardOf } from './testing/shards.js'

const NOW_MS = 1_000

/** Scaled; its topology published. */
function scaled(
  shards: readonly ShardState[],
  children: readonly ChildState[],
  to: number,
): NodeState {
  const before = { minInSync: 1, shards, children, published: firstTopology(1, shards) }
  const state = observe(before, { type: 'scaled', children: to })
  return plan(state, NOW_MS)
    .steps.filter((step) => step.type === 'publish')
    .reduce(carryOut, state)
}

/** What is done with children and copies. */
function stepsOf(state: NodeState): readonly Step[] {
  return plan(state, NOW_MS).steps.filter(({ type }) => type !== 'publish' && type !== 'tell')
}

const TWO = [ready(1), ready(2)]
const FOUR_IN_TWO = [open(0, 1), open(1, 1), open(2, 2), open(3, 2)]

describe('plan: more children', () => {
  test('they are forked; nothing moves before they are there', () => {
    const state = scaled(FOUR_IN_TWO, TWO, 4)
    const forks = stepsOf(state)
    expect(forks).toEqual([
      { type: 'fork', child: 3 },
      { type: 'fork', child: 4 },
    ])
    const starting = forks.reduce(carryOut, state)
    expect(stepsOf(starting)).toEqual([])
    const one = observe(starting, { type: 'started', child: 3, nowMs: NOW_MS })
    expect(stepsOf(one).filter(({ type }) => type === 'release')).toEqual([])
    const both = observe(one, { type: 'started', child: 4, nowMs: NOW_MS })
    expect(stepsOf(both).filter(({ type }) => type === 'release')).toHaveLength(2)
    expect(isSettled(both, NOW_MS)).toBe(false)
    expect(new Set(movesToCome(both, NOW_MS).values())).toEqual(new Set([3, 4]))
  })

  test('one of them ends → the others get their share meanwhile', () => {
    const state = [3, 4].reduce<NodeState>(
      (before, child) => carryOut(before, { type: 'fork', child }),
      scaled(FOUR_IN_TWO, TWO, 4),
    )
    const ended = observe(state, {
      type: 'exited',
      child: 4,
      crash: undefined,
      nowMs: NOW_MS,
      chance: 0.5,
    })
    const ready3 = observe(ended, { type: 'started', child: 3, nowMs: NOW_MS })
    expect(stepsOf(ready3).filter(({ type }) => type === 'release')).toHaveLength(1)
  })
})

describe('plan: fewer children', () => {
  test('one that hosts something → emptied; one that hosts nothing → told to end', () => {
    const shards = [open(0, 1), open(1, 2), open(2, 3)]
    const state = scaled(shards, [...TWO, ready(3), ready(4)], 2)
    expect(stepsOf(state)).toMatchObject([
      { type: 'retire', child: 4 },
      { type: 'release', shard: 2, child: 3 },
    ])
  })

  test('it was told to end → others go on moving; its end is no failure, and it is forgotten', () => {
    const shards = [open(0, 1), open(1, 2), open(2, 3)]
    const retiring = carryOut(scaled(shards, [...TWO, ready(3), ready(4)], 2), {
      type: 'retire',
      child: 4,
    })
    expect(stepsOf(retiring).some(({ type }) => type === 'release')).toBe(true)
    const exit = { crash: undefined, nowMs: NOW_MS, chance: 0 }
    const gone = observe(retiring, { type: 'exited', child: 4, ...exit })
    expect(gone.children.map(({ id }) => id)).toEqual([1, 2, 3])
    expect(stepsOf(gone).filter(({ type }) => type === 'fork')).toEqual([])
  })

  test('it is wanted again before it has ended → forked anew, at once', () => {
    const shards = [open(0, 1), open(1, 2)]
    const retiring = carryOut(scaled(shards, [...TWO, ready(3)], 2), { type: 'retire', child: 3 })
    const wanted = observe(retiring, { type: 'scaled', children: 3 })
    expect(stepsOf(wanted)).toEqual([])
    const exit = { crash: undefined, nowMs: NOW_MS, chance: 1 }
    const gone = observe(wanted, { type: 'exited', child: 3, ...exit })
    expect(stepsOf(gone)).toContainEqual({ type: 'fork', child: 3 })
  })

  test('a leaving child has no process → forgotten, unless one after it has', () => {
    const children = [...TWO, { ...absentChild(3), isExpected: false }, ready(4)]
    const state = scaled([open(0, 1)], children, 2)
    expect(state.children.map(({ id }) => id)).toEqual([1, 2, 3, 4])
    expect(stepsOf(state).filter(({ type }) => type === 'fork')).toEqual([])
    const exit = { crash: undefined, nowMs: NOW_MS, chance: 0 }
    const gone = observe(state, { type: 'exited', child: 4, ...exit })
    expect(gone.children.map(({ id }) => id)).toEqual([1, 2])
  })

  test('a copy that nobody serves and that is not in sync → let go of, with nowhere to go', () => {
    const lost = shardOf(
      0,
      [
        { phase: 'damaged', child: 1 },
        { phase: 'open', child: 3 },
      ],
      { inSync: { version: 2, members: [0] } },
    )
    const state = scaled([lost], [...TWO, ready(3)], 2)
    expect(stepsOf(state)).toMatchObject([{ type: 'release', shard: 0, copy: 1, child: 3 }])
  })
})
