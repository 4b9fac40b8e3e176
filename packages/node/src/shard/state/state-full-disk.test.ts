import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { Overlay } from '../overlay/overlay.js'
import { beside } from '../testing/beside.js'
import { inDirectory } from '../testing/directory.js'
import { textHeld, textOf } from '../testing/entries.js'
import { CAN_LIMIT_FILE_SIZE, withFileSizeLimit } from '../testing/file-size-limit.js'
import { applyOverlay } from './applier.js'
import { CommitFailed } from './commit-failure.js'
import { State } from './state.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 3 }
const VALUE = 'x'.repeat(2_000)

function fill(overlay: Overlay, from: number, to: number): void {
  for (let index = from; index < to; index += 1) {
    overlay.put(`key ${10_000 + index}`, textHeld(VALUE, index, { expiresAt: 1 + (index % 2) }))
  }
  overlay.committed(to - 1, 1)
}

/**
 * A disk that really is full. LMDB must not notice: what it does about it ends the process (lmdb
 * 3.5.6), and it would print it.
 */
describe.skipIf(!CAN_LIMIT_FILE_SIZE)('state: the disk is full', () => {
  test('P1: applying fails → nothing is lost, reads go on; with space it is resumed', () =>
    inDirectory(async (directory) => {
      const print = vi.spyOn(console, 'error')
      const state = State.open(directory, IDENTITY)
      const overlay = new Overlay()
      fill(overlay, 1, 200)
      await applyOverlay(overlay, state, beside())
      const bytes = statSync(join(directory, 'data.mdb')).size
      fill(overlay, 200, 2_200)
      await withFileSizeLimit(bytes, async () => {
        for (let attempt = 0; attempt < 3; attempt += 1) {
          const applying = applyOverlay(overlay, state, beside())
          await expect(applying).rejects.toThrow(/^the state could not be stored: EFBIG/)
          await expect(applying).rejects.not.toThrow(CommitFailed)
          expect(statSync(join(directory, 'data.mdb')).size).toBe(bytes)
          expect(state.marks.appliedRevision).toBe(199)
          expect(textOf(state.get('key 10001'))).toBe(VALUE)
          expect(textOf(overlay.get('key 12199'))).toBe(VALUE)
        }
      })
      await applyOverlay(overlay, state, beside())
      expect(state.marks.appliedRevision).toBe(2_199)
      expect(state.entryCount).toBe(2_199)
      expect(print).not.toHaveBeenCalled()
      await state.close()
    }))

  test('closed after a failed attempt → ends, and what was stored is there', () =>
    inDirectory(async (directory) => {
      const state = State.open(directory, IDENTITY)
      const overlay = new Overlay()
      fill(overlay, 1, 200)
      await applyOverlay(overlay, state, beside())
      fill(overlay, 200, 2_200)
      await withFileSizeLimit(statSync(join(directory, 'data.mdb')).size, async () => {
        await expect(applyOverlay(overlay, state, beside())).rejects.toThrow('could not be stored')
        await state.close()
      })
      const again = State.open(directory, IDENTITY)
      expect(again.marks.appliedRevision).toBe(199)
      expect(textOf(again.get('key 10199'))).toBe(VALUE)
      await again.close()
    }))
})
