import { describe, expect, test } from 'vitest'
import type { ShardPhase, ShardState } from './shard-state.js'
import {
  becomeClosed,
  becomeDamaged,
  becomeFailed,
  becomeOpen,
  becomeOpening,
  becomeReleasing,
  closedShard,
  isHeldBy,
} from './shard-state.js'

const NOW_MS = 10_000
const FAILURE = { reason: 'disk on fire', nowMs: NOW_MS, chance: 0 }

const EDGES = {
  opening: (shard: ShardState) => becomeOpening(shard, 2),
  open: becomeOpen,
  releasing: becomeReleasing,
  closed: becomeClosed,
  failed: (shard: ShardState) => becomeFailed(shard, FAILURE),
  damaged: (shard: ShardState) => becomeDamaged(shard, FAILURE.reason),
}

type Edge = keyof typeof EDGES

/** Where each edge leads from each phase; `illegal` if there is no such edge. */
const TABLE: Record<ShardPhase, Record<Edge, ShardPhase | 'illegal'>> = {
  closed: {
    opening: 'opening',
    open: 'illegal',
    releasing: 'illegal',
    closed: 'illegal',
    failed: 'illegal',
    damaged: 'illegal',
  },
  opening: {
    opening: 'illegal',
    open: 'open',
    releasing: 'illegal',
    closed: 'closed',
    failed: 'closed',
    damaged: 'damaged',
  },
  open: {
    opening: 'illegal',
    open: 'illegal',
    releasing: 'releasing',
    closed: 'closed',
    failed: 'closed',
    damaged: 'damaged',
  },
  releasing: {
    opening: 'illegal',
    open: 'illegal',
    releasing: 'illegal',
    closed: 'closed',
    failed: 'closed',
    damaged: 'damaged',
  },
  damaged: {
    opening: 'illegal',
    open: 'illegal',
    releasing: 'illegal',
    closed: 'illegal',
    failed: 'illegal',
    damaged: 'illegal',
  },
}

function follow(edge: Edge, shard: ShardState): ShardPhase | 'illegal' {
  try {
    return EDGES[edge](shard).phase
  } catch {
    return 'illegal'
  }
}

describe('shard state', () => {
  for (const [phase, edges] of Object.entries(TABLE)) {
    for (const [edge, to] of Object.entries(edges)) {
      test(`${phase}: ${edge} → ${to}`, () => {
        const shard = closedShard(3, { phase: phase as ShardPhase, child: 1, epoch: 7 })
        expect(follow(edge as Edge, shard)).toBe(to)
      })
    }
  }

  test('opening → the next epoch, on that child', () => {
    const shard = becomeOpening(closedShard(3, { epoch: 7, child: 1 }), 2)
    expect(shard).toMatchObject({ epoch: 8, child: 2 })
    expect(isHeldBy(shard, 2, 8)).toBe(true)
    expect(isHeldBy(shard, 1, 8)).toBe(false)
    expect(isHeldBy(shard, 2, 7)).toBe(false)
  })

  test('opened → created for ever, and the failures are forgotten', () => {
    const open = becomeOpen(closedShard(3, { phase: 'opening', failures: 4, reason: 'was bad' }))
    expect(open).toMatchObject({ isCreated: true, failures: 0, reason: '' })
    expect(becomeClosed(open).isCreated).toBe(true)
  })

  test('failed again and again → the pause grows; let go of in order → none', () => {
    const opening = closedShard(3, { phase: 'opening' })
    expect(becomeFailed(opening, FAILURE).retryAtMs).toBe(NOW_MS)
    expect(becomeFailed({ ...opening, failures: 3 }, FAILURE).retryAtMs).toBe(NOW_MS + 200)
    expect(becomeClosed({ ...opening, retryAtMs: NOW_MS }).retryAtMs).toBe(0)
  })
})
