import { describe, expect, test } from 'vitest'
import type { PeerClient } from '../peers/peer.js'
import { fill } from './fill.js'
import { keyAt } from './keys.js'

function store(canBatch: boolean): { client: PeerClient; written: string[]; batches: number[] } {
  const written: string[] = []
  const batches: number[] = []
  const client: PeerClient = {
    get: () => Promise.resolve(null),
    set: (key) => Promise.resolve(written.push(key)),
    close: () => Promise.resolve(),
  }
  if (canBatch) {
    client.setMany = (entries) => {
      batches.push(entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0))
      written.push(...entries.map(([key]) => key))
      return Promise.resolve()
    }
  }
  return { client, written, batches }
}

describe('filling', () => {
  test.each([true, false])('writes every key once (many in a call: %s)', async (canBatch) => {
    const { client, written } = store(canBatch)
    await fill(client, { from: 1_000, to: 3_055, valueBytes: 100 })
    expect(written.toSorted()).toEqual(Array.from({ length: 2_055 }, (_, at) => keyAt(1_000 + at)))
  })

  test('large values go in small batches, the largest alone', async () => {
    const { client, batches } = store(true)
    await fill(client, { from: 0, to: 200, valueBytes: 4_096 })
    expect(Math.max(...batches)).toBeLessThanOrEqual(65_536)
    const alone = store(true)
    await fill(alone.client, { from: 0, to: 20, valueBytes: 65_536 })
    expect(alone.written).toHaveLength(20)
    expect(alone.batches).toEqual([])
  })
})
