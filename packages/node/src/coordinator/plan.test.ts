import { NO_CHILD } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { absentChild } from './child-state.js'
import type { ChildState } from './child-state.js'
import type { NodeEvent, NodeState } from './node-state.js'
import { carryOut, firstTopology, observe } from './node-state.js'
import { plan } from './plan.js'
import { MOVES_AT_ONCE_MAX } from './plan-moves.js'
import type { ShardState } from './shard-state.js'
import type { Step } from './step.js'
import { loneShard, openShard as open, readyChild as ready } from './testing/shards.js'

const NOW_MS = 1_000

/** A state whose topology has been published. */
function stateOf(shards: readonly ShardState[], children: readonly ChildState[]): NodeState {
  const state = { minInSync: 1, shards, children, published: firstTopology(1, shards) }
  return plan(state, NOW_MS)
    .steps.filter((step) => step.type === 'publish')
    .reduce(carryOut, state)
}

function stepsOf(state: NodeState, type: Step['type'], nowMs = NOW_MS): readonly Step[] {
  return plan(state, nowMs).steps.filter((step) => step.type === type)
}

/** With one copy each hosting begins an epoch. */
function opened(shard: number, child: number, epoch: number): object {
  const inSync = { version: 1, members: [0] }
  return { type: 'open', shard, copy: 0, child, hosting: epoch, epoch, inSync, atMs: NOW_MS }
}

function after(state: NodeState, ...events: NodeEvent[]): NodeState {
  return events.reduce(observe, state)
}

describe('plan: children', () => {
  test('a child without a process → fork', () => {
    const state = stateOf([loneShard(0)], [absentChild(1), ready(2)])
    expect(stepsOf(state, 'fork')).toEqual([{ type: 'fork', child: 1 }])
  })

  test('a child that ended just now → not before its pause is over, and asks to be woken then', () => {
    const paused = { ...absentChild(1), isExpected: false, forkAtMs: NOW_MS + 200 }
    const state = stateOf([loneShard(0)], [paused])
    expect(plan(state, NOW_MS)).toEqual({ steps: [], wakeAtMs: NOW_MS + 200 })
    expect(stepsOf(state, 'fork', NOW_MS + 200)).toHaveLength(1)
  })

  test('a child that is starting, ready or ending → no second process', () => {
    for (const phase of ['starting', 'ready', 'ending'] as const) {
      expect(stepsOf(stateOf([], [{ ...ready(1), phase }]), 'fork')).toEqual([])
    }
  })
})

describe('plan: opening', () => {
  test('the first start of a child is under way → its shards wait for it, the others open', () => {
    const shards = [loneShard(0, { child: 1 }), loneShard(1, { child: 2 })]
    const starting: ChildState = { ...absentChild(2), phase: 'starting' }
    const opens = stepsOf(stateOf(shards, [ready(1), starting]), 'open')
    expect(opens).toEqual([opened(0, 1, 1)])
  })

  test('a child is started again after its end → living children open its shards at once', () => {
    const state = stateOf([open(0, 1), open(1, 2, 4)], [ready(1), ready(2)])
    const dead = after(state, { type: 'exited', child: 2, nowMs: NOW_MS, chance: 0 })
    expect(stepsOf(dead, 'open')).toEqual([opened(1, 1, 5)])
    const restarting = carryOut(dead, { type: 'fork', child: 2 })
    expect(stepsOf(restarting, 'open')).toEqual([opened(1, 1, 5)])
  })

  test('a child is being killed → its shards stay where they are until its exit is seen (P5)', () => {
    const state = stateOf([open(0, 1), open(1, 2)], [ready(1), ready(2)])
    const condemned = after(state, { type: 'condemned', child: 2 })
    expect(stepsOf(condemned, 'open')).toEqual([])
    expect(stepsOf(condemned, 'release')).toEqual([])
  })

  test('a shard that failed → not before its pause is over', () => {
    const failed = loneShard(0, { child: 1, failures: 3, retryAtMs: NOW_MS + 50 })
    const state = stateOf([failed], [ready(1)])
    expect(plan(state, NOW_MS)).toEqual({ steps: [], wakeAtMs: NOW_MS + 50 })
    expect(stepsOf(state, 'open', NOW_MS + 50)).toHaveLength(1)
  })

  test('a damaged shard → never opened again, and the others are', () => {
    const damaged = loneShard(0, { phase: 'damaged', child: 1, reason: 'bad frame' })
    const state = stateOf([damaged, loneShard(1)], [ready(1)])
    expect(stepsOf(state, 'open')).toEqual([opened(1, 1, 1)])
  })

  test('nobody is there → nothing to do but fork', () => {
    const state = stateOf([loneShard(0)], [absentChild(1)])
    expect(plan(state, NOW_MS).steps).toEqual([{ type: 'fork', child: 1 }])
  })

  test('a shard whose opening ended its child → counts as its failure', () => {
    const opening = loneShard(0, { phase: 'opening', child: 1, failures: 1 })
    const state = stateOf([opening], [ready(1)])
    const dead = after(state, { type: 'exited', child: 1, nowMs: NOW_MS, chance: 0 })
    expect(dead.shards[0]!.copies[0]).toMatchObject({
      phase: 'closed',
      failures: 2,
      retryAtMs: NOW_MS + 50,
    })
  })
})

describe('plan: moving', () => {
  const crowded = (): NodeState =>
    stateOf(
      Array.from({ length: 16 }, (_, id) => open(id, 1)),
      [ready(1), ready(2)],
    )

  test('a child has come back → a few shards at a time are released for it', () => {
    const releases = stepsOf(crowded(), 'release')
    expect(releases).toHaveLength(MOVES_AT_ONCE_MAX)
    expect(releases.every((step) => step.type === 'release' && step.child === 1)).toBe(true)
  })

  test('moves are under way → no more until one has arrived', () => {
    const moving = stepsOf(crowded(), 'release').reduce(carryOut, crowded())
    expect(stepsOf(moving, 'release')).toEqual([])
  })

  test('a shard was released → it opens where it belongs, and the next is released', () => {
    const [first] = stepsOf(crowded(), 'release')
    if (first?.type !== 'release') throw new Error('nothing is released')
    const { shard, hosting } = first
    const released = after(carryOut(crowded(), first), {
      type: 'released',
      child: 1,
      shard,
      hosting,
    })
    expect(stepsOf(released, 'open')).toEqual([opened(shard, 2, hosting + 1)])
    expect(stepsOf(released, 'release')).toEqual([])
  })

  test('some shard has nobody → no shard that has somebody is moved', () => {
    const shards = [loneShard(0), ...crowded().shards.slice(1)]
    const state = stateOf(shards, [ready(1), ready(2)])
    expect(stepsOf(state, 'release')).toEqual([])
  })
})

describe('plan: publishing', () => {
  test('a shard answered opened → its child is primary, in a newer version', () => {
    const opening = loneShard(0, { phase: 'opening', child: 1, epoch: 3, hosting: 3 })
    const state = stateOf([opening], [ready(1)])
    expect(state.published.primaries).toEqual([NO_CHILD])
    const opened = after(state, {
      type: 'opened',
      child: 1,
      shard: 0,
      hosting: 3,
      epoch: 3,
      nowMs: NOW_MS,
    })
    const [publish] = stepsOf(opened, 'publish')
    expect(publish).toMatchObject({
      topology: { version: state.published.version + 1, primaries: [1], epochs: [3] },
    })
    expect(stepsOf(carryOut(opened, publish!), 'publish')).toEqual([])
  })

  test('its child is to be killed → nobody is primary, the epoch stays the one clients know', () => {
    const state = stateOf([open(0, 1, 3)], [ready(1)])
    const [publish] = stepsOf(after(state, { type: 'condemned', child: 1 }), 'publish')
    expect(publish).toMatchObject({
      topology: { primaries: [NO_CHILD], epochs: [3], children: [] },
    })
  })
})

describe('plan: late messages', () => {
  const opening = loneShard(0, { phase: 'opening', child: 1, epoch: 3, hosting: 3 })
  const state = (): NodeState => stateOf([opening], [ready(1), ready(2)])

  test('of another hosting or child → change nothing', () => {
    const failed = { reason: 'late', damaged: true, nowMs: NOW_MS, chance: 0 }
    for (const [child, hosting] of [
      [1, 2],
      [2, 3],
    ] as const) {
      const from = { child, shard: 0, hosting, nowMs: NOW_MS }
      expect(observe(state(), { type: 'opened', ...from, epoch: 3 }).shards[0]).toEqual(opening)
      expect(observe(state(), { type: 'backing', ...from }).shards[0]).toEqual(opening)
      expect(observe(state(), { type: 'released', ...from }).shards[0]).toEqual(opening)
      expect(observe(state(), { type: 'failed', ...from, ...failed }).shards[0]).toEqual(opening)
    }
  })

  test('of the hosting, but an epoch before → change nothing', () => {
    const from = { child: 1, shard: 0, hosting: 3, epoch: 2, nowMs: NOW_MS }
    expect(observe(state(), { type: 'opened', ...from }).shards[0]).toEqual(opening)
  })
})
