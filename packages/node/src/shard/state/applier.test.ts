import { describe, expect, test, vi } from 'vitest'
import { tombstone } from '../held.js'
import { Overlay } from '../overlay/overlay.js'
import { beside } from '../testing/beside.js'
import { inDirectory } from '../testing/directory.js'
import { textHeld, textOf } from '../testing/entries.js'
import { applyOverlay } from './applier.js'
import { State } from './state.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 3 }

function withState(use: (state: State, overlay: Overlay) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const state = State.open(directory, IDENTITY)
    try {
      await use(state, new Overlay())
    } finally {
      await state.close()
    }
  })
}

function keyAt(index: number): string {
  return `key ${(index * 7_919) % 100_003} ${index % 3 === 0 ? '😀' : '\uffff'}`
}

/** Commits `count` writes from `revision` on, as one frame. */
function commit(overlay: Overlay, revision: number, count: number, text = 'v'): void {
  for (let index = 0; index < count; index += 1) {
    overlay.put(keyAt(index), textHeld(`${text} ${index}`, revision + index))
  }
  overlay.committed(revision + count - 1, 1_000)
}

function readNewest(overlay: Overlay, state: State, key: string): string | undefined {
  const overlaid = overlay.get(key)
  return textOf(overlaid ?? state.get(key))
}

describe('applier: a generation', () => {
  test('P2: many keys, more than a slice → all in the state, the overlay empty, the marks moved', () =>
    withState(async (state, overlay) => {
      commit(overlay, 1, 3_000)
      await applyOverlay(overlay, state, beside())
      expect(overlay.isEmpty).toBe(true)
      expect(state.entryCount).toBe(3_000)
      expect(textOf(state.get(keyAt(2_999)))).toBe('v 2999')
      expect(state.marks).toMatchObject({ appliedRevision: 3_000, applyingRevision: 3_000 })
    }))

  test('P8: the log has not synced what is applied → nothing of it is in the state', () =>
    withState(async (state, overlay) => {
      commit(overlay, 1, 10)
      const failing = { sync: () => Promise.reject(new Error('EIO')) }
      await expect(applyOverlay(overlay, state, { ...beside(), log: failing })).rejects.toThrow(
        'EIO',
      )
      expect({ entries: state.entryCount, ...state.marks }).toMatchObject({
        entries: 0,
        applyingRevision: 0,
      })
      await applyOverlay(overlay, state, { ...beside(), log: { sync: () => Promise.resolve() } })
      expect(state.entryCount).toBe(10)
    }))

  test('values larger than a slice → stored', () =>
    withState(async (state, overlay) => {
      for (let index = 0; index < 8; index += 1) {
        overlay.put(keyAt(index), textHeld('x'.repeat(300_000), index + 1))
      }
      overlay.committed(8, 1)
      await applyOverlay(overlay, state, beside())
      expect(state.entryCount).toBe(8)
    }))

  test('deletions → gone from the state', () =>
    withState(async (state, overlay) => {
      commit(overlay, 1, 10)
      await applyOverlay(overlay, state, beside())
      overlay.put(keyAt(3), tombstone(11))
      overlay.committed(11, 1)
      await applyOverlay(overlay, state, beside())
      expect(state.get(keyAt(3))).toBeUndefined()
      expect(state.entryCount).toBe(9)
    }))

  test('no keys, only revisions → the mark moves, so that the log can be let go', () =>
    withState(async (state, overlay) => {
      overlay.committed(5, 1)
      await applyOverlay(overlay, state, beside())
      expect(state.marks.appliedRevision).toBe(5)
    }))

  test('P3: reads while it is being applied → the newest write at every moment', () =>
    withState(async (state, overlay) => {
      commit(overlay, 1, 2_500, 'old')
      let isApplied = false
      const applying = applyOverlay(overlay, state, beside()).then(() => (isApplied = true))
      let turn = 0
      while (!isApplied) {
        const index = (turn += 37) % 2_500
        const newer = index % 2 === 0
        if (newer) overlay.put(keyAt(index), textHeld(`new ${index}`, 3_000 + turn))
        const due = newer ? `new ${index}` : `old ${index}`
        expect(readNewest(overlay, state, keyAt(index))).toBe(due)
        await new Promise((resolve) => void setImmediate(resolve))
      }
      await applying
      for (let index = 1; index < 2_500; index += 2) {
        expect(readNewest(overlay, state, keyAt(index))).toBe(`old ${index}`)
      }
    }))

  test('what commits while it is being applied → waits for the next time', () =>
    withState(async (state, overlay) => {
      commit(overlay, 1, 100)
      const applying = applyOverlay(overlay, state, beside())
      overlay.put('later', textHeld('x', 101))
      overlay.committed(101, 1)
      await applying
      expect(state.marks.appliedRevision).toBe(100)
      expect(state.get('later')).toBeUndefined()
      expect(overlay.size).toBe(1)
      await applyOverlay(overlay, state, beside())
      expect(state.marks.appliedRevision).toBe(101)
    }))
})

describe('applier: an attempt that fails', () => {
  const KEYS = 3_000
  /** The slices, then the mark. */
  const WRITES = Math.ceil(KEYS / 1_024) + 1

  test.each(Array.from({ length: WRITES }, (_, index) => index))(
    'P1: at transaction %i → nothing is lost or marked applied, and the next attempt resumes',
    (failing) =>
      withState(async (state, overlay) => {
        commit(overlay, 1, KEYS)
        const write = vi.spyOn(state, 'write')
        for (let index = 0; index < failing; index += 1) {
          write.mockImplementationOnce((changes, marks) =>
            State.prototype.write.call(state, changes, marks),
          )
        }
        write.mockImplementationOnce(() => Promise.reject(new Error('disk full')))
        await expect(applyOverlay(overlay, state, beside())).rejects.toThrow('disk full')
        expect(state.marks.appliedRevision).toBe(0)
        expect(overlay.isApplying).toBe(true)
        expect(readNewest(overlay, state, keyAt(KEYS - 1))).toBe(`v ${KEYS - 1}`)

        overlay.put(keyAt(0), textHeld('newer', KEYS + 1))
        overlay.committed(KEYS + 1, 1)
        await applyOverlay(overlay, state, beside())
        expect(overlay.isApplying).toBe(false)
        expect(state.entryCount).toBe(KEYS)
        expect(state.marks.appliedRevision).toBe(KEYS)
        expect(readNewest(overlay, state, keyAt(0))).toBe('newer')
      }),
  )

  test('before a slice is stored, the mark of what is being applied is → with the first', () =>
    withState(async (state, overlay) => {
      commit(overlay, 1, 1_500)
      const write = vi.spyOn(state, 'write')
      await applyOverlay(overlay, state, beside())
      expect(write.mock.calls.map(([, marks]) => marks)).toEqual([
        { applyingRevision: 1_500 },
        undefined,
        { applyingRevision: 1_500, appliedRevision: 1_500, sessionFloor: 0, timeMs: 0 },
      ])
    }))
})
