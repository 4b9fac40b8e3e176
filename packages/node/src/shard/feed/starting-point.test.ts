import { describe, expect, test } from 'vitest'
import { resetReason } from './starting-point.js'

const EXTENT = {
  epochTable: [
    { epoch: 3, firstRevision: 11 },
    { epoch: 5, firstRevision: 21 },
  ],
  firstRevision: 11,
  committedRevision: 30,
}

describe('where a watcher goes on', () => {
  test.each([
    ['in this epoch', { epoch: 5, revision: 25, seen: 0 }],
    ['in the middle of an entry', { epoch: 5, revision: 25, seen: 2 }],
    ['at the tail', { epoch: 5, revision: 30, seen: 0 }],
    ['in an earlier epoch', { epoch: 3, revision: 20, seen: 0 }],
  ])('%s → goes on', (_name, position) => {
    expect(resetReason(position, EXTENT)).toBeUndefined()
  })

  test.each([
    ['the log begins later', { epoch: 3, revision: 9, seen: 0 }, 'trimmed'],
    ['a part of an entry that is gone', { epoch: 3, revision: 10, seen: 1 }, 'trimmed'],
    ['beyond the end', { epoch: 5, revision: 31, seen: 0 }, 'diverged'],
    ['a revision of another epoch', { epoch: 3, revision: 21, seen: 0 }, 'diverged'],
    ['an epoch that never was', { epoch: 4, revision: 20, seen: 0 }, 'diverged'],
  ] as const)('%s → reset, never a silent gap (P6)', (_name, position, reason) => {
    expect(resetReason(position, EXTENT)).toBe(reason)
  })

  test('P6: a revision that was lost before a jump → reset; the last before it → goes on', () => {
    const extent = {
      epochTable: [
        { epoch: 1, firstRevision: 1 },
        { epoch: 2, firstRevision: 51 },
      ],
      jump: 40,
      firstRevision: 1,
      committedRevision: 60,
    }
    // The first epoch ended with revision 10, and what was given 11 is lost.
    expect(resetReason({ epoch: 1, revision: 10, seen: 0 }, extent)).toBeUndefined()
    for (const revision of [11, 50]) {
      expect(resetReason({ epoch: 1, revision, seen: 0 }, extent)).toBe('diverged')
    }
    expect(resetReason({ epoch: 2, revision: 51, seen: 0 }, extent)).toBeUndefined()
  })

  test('an epoch that the table has forgotten → reset, as nobody can tell', () => {
    const extent = { ...EXTENT, firstRevision: 1 }
    expect(resetReason({ epoch: 2, revision: 5, seen: 0 }, extent)).toBe('diverged')
  })
})
