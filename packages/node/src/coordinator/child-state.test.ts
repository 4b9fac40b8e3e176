import { describe, expect, test } from 'vitest'
import type { ChildPhase, ChildState } from './child-state.js'
import {
  HEALTHY_AFTER_MS,
  absentChild,
  becomeAbsent,
  becomeEnding,
  becomeReady,
  becomeRetiring,
  becomeStarting,
  joiningChild,
  withLeaving,
  withProcess,
} from './child-state.js'

const PROCESS = { pid: 4_711, startedAt: 'boot/1' }

const EDGES = {
  starting: becomeStarting,
  process: (child: ChildState) => withProcess(child, PROCESS),
  ready: (child: ChildState) => becomeReady(child, 5),
  retiring: (child: ChildState) => becomeRetiring({ ...child, isLeaving: true }),
  ending: becomeEnding,
  absent: (child: ChildState) => becomeAbsent(child, 10, 0),
}

type Edge = keyof typeof EDGES

/** Where each edge leads from each phase; `illegal` if there is no such edge. */
const TABLE: Record<ChildPhase, Record<Edge, ChildPhase | 'illegal'>> = {
  absent: {
    starting: 'starting',
    process: 'illegal',
    ready: 'illegal',
    retiring: 'illegal',
    ending: 'illegal',
    absent: 'illegal',
  },
  starting: {
    starting: 'illegal',
    process: 'starting',
    ready: 'ready',
    retiring: 'illegal',
    ending: 'ending',
    absent: 'absent',
  },
  ready: {
    starting: 'illegal',
    process: 'ready',
    ready: 'illegal',
    retiring: 'retiring',
    ending: 'ending',
    absent: 'absent',
  },
  retiring: {
    starting: 'illegal',
    process: 'retiring',
    ready: 'illegal',
    retiring: 'illegal',
    ending: 'ending',
    absent: 'absent',
  },
  ending: {
    starting: 'illegal',
    process: 'ending',
    ready: 'illegal',
    retiring: 'illegal',
    ending: 'ending',
    absent: 'absent',
  },
}

function follow(edge: Edge, child: ChildState): ChildPhase | 'illegal' {
  try {
    return EDGES[edge](child).phase
  } catch {
    return 'illegal'
  }
}

describe('child state', () => {
  for (const [phase, edges] of Object.entries(TABLE)) {
    for (const [edge, to] of Object.entries(edges)) {
      test(`${phase}: ${edge} → ${to}`, () => {
        const child: ChildState = { ...absentChild(2), phase: phase as ChildPhase }
        expect(follow(edge as Edge, child)).toBe(to)
      })
    }
  }

  test('its exit was seen → no process any more, and not waited for', () => {
    const ready = becomeReady(withProcess(becomeStarting(absentChild(1)), PROCESS), 5)
    expect(ready).toMatchObject({ process: PROCESS, isExpected: false })
    const absent = becomeAbsent(ready, 10, 0)
    expect(absent).not.toHaveProperty('process')
    expect(absent).toMatchObject({ isExpected: false, failures: 1, forkAtMs: 10 })
  })

  test('it was told to end, and has → no failure: it may come back at once', () => {
    const ready = becomeReady(becomeStarting(joiningChild(3)), 5)
    const retiring = becomeRetiring(withLeaving(ready, true))
    expect(becomeAbsent(retiring, 10, 0)).toEqual({ ...joiningChild(3), isLeaving: true })
  })

  test('a child that is wanted → is not told to end', () => {
    const ready = becomeReady(becomeStarting(joiningChild(3)), 5)
    expect(() => becomeRetiring(ready)).toThrow('retiring')
  })

  test('ends in a row → growing pauses; after a minute of health → from the beginning', () => {
    let child = absentChild(1)
    const pauses: number[] = []
    for (let round = 0; round < 4; round += 1) {
      child = becomeAbsent(becomeReady(becomeStarting(child), 1_000), 1_001, 0)
      pauses.push(child.forkAtMs - 1_001)
    }
    expect(pauses).toEqual([0, 50, 100, 200])
    const recovered = becomeReady(becomeStarting(child), 1_000)
    expect(becomeAbsent(recovered, 1_000 + HEALTHY_AFTER_MS, 0).failures).toBe(1)
  })

  test('a process that never got ready → counts as a failure, however long it took', () => {
    const child = { ...becomeStarting(absentChild(1)), failures: 3 }
    expect(becomeAbsent(child, HEALTHY_AFTER_MS * 2, 0).failures).toBe(4)
  })
})
