import { describe, expect, test } from 'vitest'
import { Overlay } from '../overlay/overlay.js'
import { beside } from '../testing/beside.js'
import { inDirectory } from '../testing/directory.js'
import { textHeld } from '../testing/entries.js'
import { applyOverlay } from './applier.js'
import { ExpirySweep } from './expiry.js'
import { State } from './state.js'

function withSweep(
  use: (sweep: ExpirySweep, overlay: Overlay, state: State) => Promise<void>,
): Promise<void> {
  return inDirectory(async (directory) => {
    const state = State.open(directory, { clusterId: 'cluster-1', shard: 3 })
    const overlay = new Overlay()
    try {
      await use(new ExpirySweep(overlay, state), overlay, state)
    } finally {
      await state.close()
    }
  })
}

function put(overlay: Overlay, key: string, expiresAt: number): void {
  overlay.put(key, textHeld('x', 1, { expiresAt }))
  overlay.committed(1, 1)
}

describe('expiry: keys that are due', () => {
  test('in the overlay, frozen or not, and in the state → all of them', () =>
    withSweep(async (sweep, overlay, state) => {
      put(overlay, 'stored', 10)
      await applyOverlay(overlay, state, beside())
      put(overlay, 'frozen', 10)
      overlay.freeze()
      put(overlay, 'active', 10)
      put(overlay, 'later', 11)
      expect(sweep.due(9)).toEqual([])
      expect(sweep.due(10).toSorted()).toEqual(['active', 'frozen', 'stored'])
    }))

  test('handed out and not removed → due again: a removal may have been refused', () =>
    withSweep(async (sweep, overlay, state) => {
      put(overlay, 'stored', 10)
      await applyOverlay(overlay, state, beside())
      expect(sweep.due(10)).toEqual(['stored'])
      expect(sweep.due(10)).toEqual(['stored'])
    }))

  test('P7: very many → a bounded number at once, and all of them in the end', () =>
    withSweep(async (sweep, overlay, state) => {
      for (let index = 0; index < 700; index += 1) put(overlay, `stored ${index}`, 10)
      await applyOverlay(overlay, state, beside())
      for (let index = 0; index < 700; index += 1) put(overlay, `held ${index}`, 10)
      const seen = new Set<string>()
      for (let step = 0; step < 3; step += 1) {
        const due = sweep.due(10)
        expect(due.length).toBeLessThanOrEqual(500)
        for (const key of due) seen.add(key)
      }
      expect(seen.size).toBe(1_400)
    }))
})
