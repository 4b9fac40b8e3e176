/** How copies go to where they belong, one release at a time. One copy: `plan.test.ts`. */
import { describe, expect, test } from 'vitest'
import type { NodeState } from './node-state.js'
import { carryOut, firstTopology, observe } from './node-state.js'
import { plan } from './plan.js'
import { MOVES_AT_ONCE_MAX } from './plan-moves.js'
import type { ShardState } from './shard-state.js'
import type { Step } from './step.js'
import { readyChild as ready, shardOf } from './testing/shards.js'

const NOW_MS = 1_000
const SHARDS = 6

/** Every primary in child 1, every backup in child 2. */
function pair(id: number, members = [0, 1]): ShardState {
  return shardOf(
    id,
    [
      { phase: 'open', child: 1 },
      { phase: 'open', child: 2 },
    ],
    { inSync: { version: 1, members } },
  )
}

function stateOf(shards: readonly ShardState[], children: number): NodeState {
  const ids = Array.from({ length: children }, (_, index) => ready(index + 1))
  return { minInSync: 2, shards, children: ids, published: firstTopology(1, shards) }
}

function releases(state: NodeState): readonly Extract<Step, { type: 'release' }>[] {
  return plan(state, NOW_MS).steps.filter((step) => step.type === 'release')
}

const LOPSIDED = Array.from({ length: SHARDS }, (_, id) => pair(id))

describe('plan of moves', () => {
  test('one child has all primaries → some are released where a copy in sync can take over', () => {
    const found = releases(stateOf(LOPSIDED, 2))
    expect(found).toHaveLength(MOVES_AT_ONCE_MAX)
    expect(found.every(({ copy, child }) => copy === 0 && child === 1)).toBe(true)
  })

  test('a primary was released → the other is promoted, and the former becomes its backup', () => {
    const state = stateOf([pair(0), pair(1)], 2)
    const [release] = releases(state)
    if (release === undefined) throw new Error('nothing is released')
    const { shard, hosting } = release
    const released = observe(carryOut(state, release), {
      type: 'released',
      child: 1,
      shard,
      hosting,
    })
    const steps = plan(released, NOW_MS).steps.filter(({ type }) => type !== 'publish')
    expect(steps).toMatchObject([
      { type: 'open', shard, copy: 1, child: 2, hosting: 2, inSync: { members: [0, 1] } },
      { type: 'back', shard, copy: 0, child: 1, hosting: 3, primaryChild: 2 },
    ])
  })

  test('a child joins → it gets backups; primaries follow when they are in sync there', () => {
    const found = releases(stateOf(LOPSIDED, 3))
    expect(found).toHaveLength(MOVES_AT_ONCE_MAX)
    expect(found.every(({ copy }) => copy === 1)).toBe(true)
  })

  test('the others are not in sync → nothing is released that writes or reads need', () => {
    const alone = Array.from({ length: SHARDS }, (_, id) => pair(id, [0]))
    expect(releases(stateOf(alone, 2))).toEqual([])
  })

  test('a child is being killed, or a shard has nobody → nothing is moved', () => {
    const state = stateOf(LOPSIDED, 3)
    const ending = observe(state, { type: 'condemned', child: 3 })
    expect(releases(ending)).toEqual([])
    const orphan = shardOf(SHARDS, [{ child: 1 }, { child: 2 }])
    expect(releases(stateOf([...LOPSIDED, orphan], 3))).toEqual([])
  })
})
