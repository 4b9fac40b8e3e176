import { describe, expect, test } from 'vitest'
import type { CopyPhase, CopyState } from './copy-state.js'
import {
  WELL_AFTER_MS,
  becomeBlank,
  becomeClosed,
  becomeDamaged,
  becomeFailed,
  becomeFollowing,
  becomeOpen,
  becomeOpening,
  becomePromoted,
  becomeReleasing,
  closedCopy,
} from './copy-state.js'

const NOW_MS = 100_000
const FAILURE = { reason: 'disk on fire', nowMs: NOW_MS, chance: 0 }
const HOSTING = { child: 2, hosting: 8, role: 'backup' as const, follows: 3, sinceMs: NOW_MS }

const EDGES = {
  opening: (copy: CopyState) => becomeOpening(copy, HOSTING),
  promoted: (copy: CopyState) => becomePromoted(copy, NOW_MS),
  open: (copy: CopyState) => becomeOpen(copy, NOW_MS),
  releasing: (copy: CopyState) => becomeReleasing(copy, NOW_MS),
  closed: becomeClosed,
  failed: (copy: CopyState) => becomeFailed(copy, FAILURE),
  damaged: (copy: CopyState) => becomeDamaged(copy, FAILURE),
  blank: becomeBlank,
}

type Edge = keyof typeof EDGES

/** Where each edge leads from each phase; what is not named is illegal. */
const TABLE: Record<CopyPhase, Partial<Record<Edge, CopyPhase>>> = {
  closed: { opening: 'opening' },
  opening: { open: 'open', closed: 'closed', failed: 'closed', damaged: 'damaged' },
  open: {
    promoted: 'opening',
    releasing: 'releasing',
    closed: 'closed',
    failed: 'closed',
    damaged: 'damaged',
  },
  releasing: { closed: 'closed', failed: 'closed', damaged: 'damaged' },
  damaged: { blank: 'closed' },
  lost: {},
}

function follow(edge: Edge, copy: CopyState): CopyPhase | 'illegal' {
  try {
    return EDGES[edge](copy).phase
  } catch {
    return 'illegal'
  }
}

describe('copy state', () => {
  for (const [phase, edges] of Object.entries(TABLE)) {
    for (const edge of Object.keys(EDGES) as Edge[]) {
      const to = edges[edge] ?? 'illegal'
      test(`${phase}: ${edge} → ${to}`, () => {
        expect(follow(edge, closedCopy(1, { phase: phase as CopyPhase, child: 1 }))).toBe(to)
      })
    }
  }

  test('opening → on that child, under that number, following that epoch', () => {
    expect(becomeOpening(closedCopy(1, { hosting: 7 }), HOSTING)).toMatchObject(HOSTING)
  })

  test('promoted → where it is, under the same number, following nobody', () => {
    const backup = becomeOpen(becomeOpening(closedCopy(1), HOSTING), NOW_MS)
    expect(becomePromoted(backup, NOW_MS)).toMatchObject({
      hosting: 8,
      role: 'primary',
      follows: 0,
    })
    expect(() => becomePromoted({ ...backup, role: 'primary' }, NOW_MS)).toThrow(
      "can't go from open",
    )
  })

  test('another primary → only a backup that is held can follow it', () => {
    const backup = closedCopy(1, { phase: 'open' })
    expect(becomeFollowing(backup, 9).follows).toBe(9)
    expect(() => becomeFollowing(closedCopy(1), 9)).toThrow("can't go from closed")
    expect(() => becomeFollowing({ ...backup, role: 'primary' }, 9)).toThrow('following')
  })

  test('opened → created for ever, and the failures are forgotten', () => {
    const open = EDGES.open(closedCopy(3, { phase: 'opening', failures: 4, reason: 'was bad' }))
    expect(open).toMatchObject({ isCreated: true, failures: 0, reason: '' })
    expect(becomeClosed(open).isCreated).toBe(true)
  })

  test('given up → to be made anew', () => {
    const damaged = closedCopy(3, { phase: 'damaged', isCreated: true })
    expect(becomeBlank(damaged)).toMatchObject({ phase: 'closed', isCreated: false })
  })

  test('failed again and again → the pause grows; let go of in order → none', () => {
    const opening = closedCopy(3, { phase: 'opening' })
    expect(becomeFailed(opening, FAILURE).retryAtMs).toBe(NOW_MS)
    expect(becomeFailed({ ...opening, failures: 3 }, FAILURE).retryAtMs).toBe(NOW_MS + 200)
    expect(becomeClosed({ ...opening, retryAtMs: NOW_MS }).retryAtMs).toBe(0)
  })

  test('opens well and fails soon after, again and again → the pause grows, too', () => {
    let copy = closedCopy(3)
    const pauses: number[] = []
    for (let round = 0; round < 4; round += 1) {
      copy = becomeFailed(EDGES.open(EDGES.opening(copy)), FAILURE)
      pauses.push(copy.retryAtMs - NOW_MS)
    }
    expect(pauses).toEqual([0, 50, 100, 200])
    const wellMs = NOW_MS + WELL_AFTER_MS
    const well = becomeFailed(EDGES.open(EDGES.opening(copy)), { ...FAILURE, nowMs: wellMs })
    expect(well.retryAtMs).toBe(wellMs)
  })
})
