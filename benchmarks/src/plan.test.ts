import { describe, expect, test } from 'vitest'
import { secondsOf } from './budget.js'
import { labelOf } from './loads/load.js'
import {
  ALL_MINUTES_MAX,
  cellCountOf,
  CORE_CELLS_MAX,
  FULL_TIMING,
  PART_NAMES,
  PARTS,
  SHORT,
  SHORT_MINUTES_MAX,
  SHORT_TIMING,
} from './plan.js'
import { TARGETS } from './report/targets.js'

describe('the plan', () => {
  const core = PARTS.find(({ name }) => name === 'core')!

  test('the core has at most 60 cells', () => {
    expect(cellCountOf(core)).toBeLessThanOrEqual(CORE_CELLS_MAX)
  })

  test('the core has every call, with kv and Redis in each', () => {
    expect([...new Set(core.loads.map(({ load }) => load.kind))]).toEqual(
      'get set increment setIf getMany setMany list watch'.split(' '),
    )
    for (const { contenders } of core.loads) {
      expect(contenders).toEqual(expect.arrayContaining(['kv-direct', 'redis-always']))
    }
  })

  test('everything together takes at most 45 minutes, the short form three', () => {
    expect(secondsOf(PARTS, FULL_TIMING) / 60).toBeLessThanOrEqual(ALL_MINUTES_MAX)
    expect(secondsOf([SHORT], SHORT_TIMING) / 60).toBeLessThanOrEqual(SHORT_MINUTES_MAX)
  })

  test('parts one by one take no less time than together', () => {
    const alone = PARTS.reduce((sum, part) => sum + secondsOf([part], FULL_TIMING), 0)
    expect(alone).toBeGreaterThanOrEqual(secondsOf(PARTS, FULL_TIMING))
  })

  test('every part has its place, and no load comes twice in one', () => {
    expect(PARTS.map(({ name }) => name)).toEqual([...PART_NAMES])
    for (const { loads } of [...PARTS, SHORT]) {
      const labels = loads.map(({ load }) => labelOf(load))
      expect(new Set(labels).size).toBe(labels.length)
      for (const { contenders } of loads) {
        expect(new Set(contenders).size).toBe(contenders.length)
      }
    }
  })

  test('what a target compares is measured, and in one part', () => {
    for (const { id, part: name, subject, reference } of TARGETS) {
      const part = PARTS.find((each) => each.name === name)!
      for (const { contender, of } of reference === undefined ? [subject] : [subject, reference]) {
        if ('fact' in of) continue
        const planned = part.loads.find(({ load }) => labelOf(load) === labelOf(of))
        expect(planned?.contenders, `${id}: ${labelOf(of)}`).toContain(contender)
      }
    }
  })
})
