/** Primaries that hang while they are opened or released: when their child is ended for it. */
import { describe, expect, test } from 'vitest'
import type { CopyState } from './copy-state.js'
import type { NodeState } from './node-state.js'
import { carryOut, firstTopology, observe } from './node-state.js'
import { plan } from './plan.js'
import { STUCK_AFTER_MS } from './plan-stuck.js'
import { readyChild, shardOf } from './testing/shards.js'

const SINCE_MS = 5_000
const LATE_MS = SINCE_MS + STUCK_AFTER_MS

function stateOf(primary: Partial<CopyState>, backup: Partial<CopyState>): NodeState {
  const copies = [
    { child: 1, sinceMs: SINCE_MS, ...primary },
    { child: 2, sinceMs: SINCE_MS, ...backup },
  ]
  const shards = [shardOf(0, copies)]
  const children = [readyChild(1), readyChild(2)]
  return { minInSync: 1, shards, children, published: firstTopology(1, shards) }
}

/** The children that are to be ended, in words. */
function condemned(state: NodeState, nowMs: number = LATE_MS): string[] {
  return plan(state, nowMs).steps.flatMap((step) =>
    step.type === 'condemn' ? `${step.child}: ${step.why}` : [],
  )
}

describe('plan of what hangs', () => {
  const open = { phase: 'open' } as const

  test('a primary is opening for 10 s, the backup is in sync → its child is ended, that one serves', () => {
    const state = stateOf({ phase: 'opening' }, open)
    expect(condemned(state, LATE_MS - 1)).toEqual([])
    expect(plan(state, SINCE_MS).wakeAtMs).toBe(LATE_MS)
    expect(condemned(state)).toEqual(['1: opening shard 0 takes longer than 10000 ms'])
    const ending = plan(state, LATE_MS).steps.reduce(carryOut, state)
    // P5: not before its exit is seen.
    expect(plan(ending, LATE_MS).steps.map(({ type }) => type)).toEqual(['publish'])
    const gone = observe(ending, { type: 'exited', child: 1, nowMs: LATE_MS, chance: 0 })
    expect(plan(gone, LATE_MS).steps).toContainEqual(
      expect.objectContaining({ type: 'open', copy: 1, child: 2, hosting: 2 }),
    )
  })

  test('a primary is being released for 10 s → likewise', () => {
    expect(condemned(stateOf({ phase: 'releasing' }, open))).toEqual([
      '1: closing shard 0 takes longer than 10000 ms',
    ])
  })

  test('nobody could take over → its child lives', () => {
    const opening = { phase: 'opening' } as const
    expect(condemned(stateOf(opening, opening))).toEqual([])
    expect(condemned(stateOf(opening, { phase: 'damaged' }))).toEqual([])
    // It may be as bad: they would end each other's children in turn.
    expect(condemned(stateOf(opening, { phase: 'closed', failures: 1 }))).toEqual([])
  })

  test('a backup hangs → the shard is served, and nobody is ended for it', () => {
    expect(condemned(stateOf(open, { phase: 'opening' }))).toEqual([])
    expect(condemned(stateOf(open, { phase: 'releasing' }))).toEqual([])
  })
})
