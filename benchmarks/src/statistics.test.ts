import { describe, expect, test } from 'vitest'
import { median, spreadOf } from './statistics.js'

describe('what is said of several rounds', () => {
  test.each([
    { values: [3, 1, 2], expected: 2 },
    { values: [10, 1, 2, 4], expected: 3 },
    { values: [7], expected: 7 },
    { values: [], expected: Number.NaN },
  ])('the median of $values is $expected', ({ values, expected }) => {
    expect(median(values)).toBe(expected)
  })

  test('one round that was disturbed moves the spread, not the median', () => {
    expect(spreadOf([100, 101, 99, 100, 3])).toEqual({ median: 100, least: 3, most: 101 })
  })

  test('what is given is not put into another order', () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })
})
