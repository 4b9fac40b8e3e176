import { describe, expect, test } from 'vitest'
import { absentChild } from './child-state.js'
import type { ChildState } from './child-state.js'
import { firstTopology } from './node-state.js'
import type { NodeState } from './node-state.js'
import type { ShardState } from './shard-state.js'
import { shardPhase } from './shard-state.js'
import { startOutcome } from './start-outcome.js'
import { loneShard, openShard } from './testing/shards.js'

const READY: ChildState = { ...absentChild(1), phase: 'ready', isExpected: false }
const OPEN = openShard(0, 1)

function stateOf(second: ShardState, child: ChildState): NodeState {
  const shards = [OPEN, second]
  const published = {
    ...firstTopology(1, shards),
    primaries: shards.map((shard) => (shardPhase(shard) === 'open' ? 1 : 0)),
  }
  return { minInSync: 1, shards, children: [child], published }
}

describe('start outcome', () => {
  test('every shard open → arrived, whatever a child is up to', () => {
    const state = stateOf({ ...OPEN, id: 1 }, { ...absentChild(1), failures: 9 })
    expect(startOutcome(state)).toEqual({ type: 'arrived', missing: [] })
  })

  test('a shard is opening, or has failed once → pending', () => {
    for (const shard of [
      loneShard(1, { phase: 'opening' }),
      loneShard(1, { failures: 1 }),
      loneShard(1),
    ]) {
      expect(startOutcome(stateOf(shard, READY))).toEqual({ type: 'pending' })
    }
  })

  test('a shard is damaged, or fails again and again → arrived without it', () => {
    for (const shard of [loneShard(1, { phase: 'damaged' }), loneShard(1, { failures: 3 })]) {
      expect(startOutcome(stateOf(shard, READY))).toEqual({ type: 'arrived', missing: [1] })
    }
  })

  test('the only child keeps ending → failed', () => {
    const state = stateOf(loneShard(1, { failures: 5 }), { ...absentChild(1), failures: 5 })
    expect(startOutcome(state)).toEqual({
      type: 'failed',
      reason: 'child 1 ended 5 times in a row',
    })
  })
})
