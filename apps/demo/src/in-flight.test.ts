import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { chunksOf, forEachInFlight } from './in-flight.js'

describe('chunksOf', () => {
  it('seven by three → three, three, one', () => {
    expect([...chunksOf([1, 2, 3, 4, 5, 6, 7], 3)]).toEqual([[1, 2, 3], [4, 5, 6], [7]])
    expect([...chunksOf([1, 2], 2)]).toEqual([[1, 2]])
    expect([...chunksOf([], 2)]).toEqual([])
  })
})

describe('forEachInFlight', () => {
  it('takes the next item only when one is done', async () => {
    let inFlight = 0
    let most = 0
    const done: number[] = []
    await forEachInFlight([5, 1, 4, 2, 3], 2, async (item) => {
      inFlight += 1
      most = Math.max(most, inFlight)
      await delay(item)
      inFlight -= 1
      done.push(item)
    })
    expect(most).toBe(2)
    expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5])
  })

  it('one fails → no more are taken, the rest settles, the failure comes out', async () => {
    const settled: number[] = []
    const working = forEachInFlight([1, 2, 3, 4], 2, async (item) => {
      if (item === 1) throw new Error('first')
      await delay(10)
      settled.push(item)
    })
    await expect(working).rejects.toThrow('first')
    expect(settled).toEqual([2])
  })
})
