/** Shards of several copies: who serves, who backs, who counts. One copy: `plan.test.ts`. */
import { describe, expect, test } from 'vitest'
import type { ChildState } from './child-state.js'
import { absentChild } from './child-state.js'
import type { NodeEvent, NodeState } from './node-state.js'
import { carryOut, firstTopology, observe } from './node-state.js'
import { plan } from './plan.js'
import type { ShardState } from './shard-state.js'
import type { ShardStep } from './step.js'
import { readyChild as ready, shardOf } from './testing/shards.js'

const NOW_MS = 1_000
const MOMENT = { nowMs: NOW_MS, chance: 0 }

function stateOf(shard: ShardState, children: readonly ChildState[]): NodeState {
  const published = firstTopology(1, [shard])
  return { minInSync: Math.min(2, shard.copies.length), shards: [shard], children, published }
}

/** What is decided about the shard, as «step copy→child». */
function decided(state: NodeState): string[] {
  return steps(state).map((step) => {
    if (step.type === 'tell') return `tell ${step.inSync.members.join()} v${step.inSync.version}`
    const set = step.type === 'open' ? ` in sync ${step.inSync.members.join()}` : ''
    return `${step.type} ${step.copy}→${step.child}${set}`
  })
}

function steps(state: NodeState): readonly ShardStep[] {
  return plan(state, NOW_MS).steps.filter((step) => 'shard' in step)
}

function after(state: NodeState, ...events: NodeEvent[]): NodeState {
  return events.reduce(observe, state)
}

function exit(child: number): NodeEvent {
  return { type: 'exited', child, ...MOMENT }
}

function failed(child: number, hosting: number, damaged = false): NodeEvent {
  return { type: 'failed', child, shard: 0, hosting, reason: 'bad', damaged, ...MOMENT }
}

/** Primary in child 1, backup in child 2, both open and in sync. */
const PAIR = shardOf(0, [
  { phase: 'open', child: 1 },
  { phase: 'open', child: 2 },
])
const THREE = [ready(1), ready(2), ready(3)]

describe('plan of a shard: start', () => {
  const stored = shardOf(0, [{ child: 1 }, { child: 2 }])

  test('all children are there → one copy serves, the other backs it, both stay in sync', () => {
    expect(decided(stateOf(stored, [ready(1), ready(2)]))).toEqual([
      'open 0→1 in sync 0,1',
      'back 1→2',
    ])
  })

  test('a child starts for the first time → the shard waits for it, and for no other', () => {
    const starting: ChildState = { ...absentChild(2), phase: 'starting' }
    expect(decided(stateOf(stored, [ready(1), starting]))).toEqual([])
    const again: ChildState = { ...starting, isExpected: false }
    expect(decided(stateOf(stored, [ready(1), again]))).toEqual(['open 0→1 in sync 0'])
  })

  test('the backup is told whom to follow: the epoch and the child of the primary', () => {
    expect(steps(stateOf(stored, [ready(1), ready(2)]))[1]).toMatchObject({
      follows: 2,
      primaryChild: 1,
      hosting: 4,
    })
  })
})

describe('plan of a shard: failover', () => {
  test('the primary ends → the backup is promoted where it is, the other is opened elsewhere', () => {
    const dead = after(stateOf(PAIR, THREE), exit(1))
    expect(decided(dead)).toEqual(['open 1→2 in sync 1', 'back 0→3'])
    expect(steps(dead)[0]).toMatchObject({ hosting: 2, epoch: 2 })
  })

  test('there is no third child → promoted at once, alone in the set', () => {
    expect(decided(after(stateOf(PAIR, [ready(1), ready(2)]), exit(1)))).toEqual([
      'open 1→2 in sync 1',
    ])
  })

  test('the primary is being killed → nothing, until its exit is seen (P5)', () => {
    expect(decided(after(stateOf(PAIR, THREE), { type: 'condemned', child: 1 }))).toEqual([])
  })

  test('the backup is not in sync → its copy makes room for the one that is, or gets its own', () => {
    const alone = { ...PAIR, inSync: { version: 3, members: [0] } }
    const crowded = after(stateOf(alone, [ready(1), ready(2)]), exit(1))
    expect(decided(crowded)).toEqual(['release 1→2'])
    expect(decided(after(stateOf(alone, THREE), exit(1)))).toEqual([
      'open 0→3 in sync 0',
      'back 1→2',
    ])
  })

  test('two backups, one still on its way → the one that is open', () => {
    const shard = shardOf(0, [
      { phase: 'open', child: 1 },
      { phase: 'opening', child: 2 },
      { phase: 'open', child: 3 },
    ])
    expect(decided(after(stateOf(shard, THREE), exit(1)))).toEqual(['open 2→3 in sync 1,2'])
  })

  test('the primary failed → its copy is tried again, and nothing waits for it', () => {
    const state = after(stateOf(PAIR, [ready(1), ready(2)]), failed(1, 1))
    expect(decided(state)).toEqual(['open 1→2 in sync 1', 'back 0→1'])
  })

  test('the primary is another → a backup that is open is told', () => {
    const shard = shardOf(0, [
      { phase: 'open', child: 1 },
      { phase: 'open', child: 2 },
      { phase: 'open', child: 3 },
    ])
    const state = after(stateOf(shard, THREE), exit(1))
    const [open, ...others] = decided(state)
    expect(open).toMatch(/^open/)
    expect(others).toHaveLength(1)
    expect(others[0]).toMatch(/^back [12]→[23]$/)
  })
})

describe('plan of a shard: the set', () => {
  test('a set was persisted → the primary is told, once', () => {
    const asked: NodeEvent = {
      type: 'askSet',
      child: 1,
      shard: 0,
      epoch: 1,
      version: 1,
      change: { type: 'remove', copy: 1, hosting: 0 },
    }
    const state = after(stateOf(PAIR, [ready(1), ready(2)]), asked)
    expect(decided(state)).toEqual(['tell 0 v2'])
    expect(decided(steps(state).reduce(carryOut, state))).toEqual([])
  })

  test('the primary is not there any more → a set is told to nobody', () => {
    const changed = { ...PAIR, inSync: { version: 2, members: [0] } }
    const state = after(stateOf(changed, [ready(1), ready(2)]), { type: 'condemned', child: 1 })
    expect(decided(state)).toEqual([])
  })
})

describe('plan of a shard: damage', () => {
  test('a backup is damaged → made anew only when the set is without it', () => {
    const state = after(stateOf(PAIR, [ready(1), ready(2)]), failed(2, 2, true))
    expect(decided(state)).toEqual([])
    const left: NodeEvent = {
      type: 'askSet',
      child: 1,
      shard: 0,
      epoch: 1,
      version: 1,
      change: { type: 'remove', copy: 1, hosting: 0 },
    }
    const without = after(state, left)
    expect(decided(without)).toEqual(['back 1→2', 'tell 0 v2'])
    expect(steps(without).reduce(carryOut, without).shards[0]!.copies[1]!.isCreated).toBe(false)
  })

  test('the primary is damaged → the backup takes over; the damaged one waits until it serves', () => {
    const state = after(stateOf(PAIR, [ready(1), ready(2)]), failed(1, 1, true))
    expect(decided(state)).toEqual(['open 1→2 in sync 1'])
    const promoted = steps(state).reduce(carryOut, state)
    expect(decided(promoted)).toEqual([])
    const from = { child: 2, shard: 0, hosting: 2, epoch: 2, nowMs: NOW_MS }
    expect(decided(after(promoted, { type: 'opened', ...from }))).toEqual(['back 0→1'])
  })

  test('the only one in sync is damaged → nobody serves, whatever others there are', () => {
    const alone = { ...PAIR, inSync: { version: 3, members: [0] } }
    const state = after(stateOf(alone, THREE), failed(1, 1, true))
    expect(decided(state)).toEqual([])
  })

  test('a volume is lost → its copy is opened nowhere', () => {
    const shard = shardOf(0, [{ child: 1 }, { phase: 'lost' }], {
      inSync: { version: 2, members: [0] },
    })
    expect(decided(stateOf(shard, THREE))).toEqual(['open 0→1 in sync 0'])
  })
})
