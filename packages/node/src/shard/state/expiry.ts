/**
 * Finds entries whose time is over, so that they can be removed through the log.
 *
 * Nobody sees such an entry: every read compares times. This only frees what it occupies and lets
 * watchers know. What it hands out is judged again by the sequencer, against the newest state.
 */
import type { Overlay } from '../overlay/overlay.js'
import type { State } from './state.js'

/** Keys handed out at once: one entry of the log, about a millisecond. */
const DUE_KEYS_MAX = 500

export class ExpirySweep {
  private readonly overlay: Overlay
  private readonly state: State
  /** Rows of the index up to here were handed out; they stay in it until they are applied. */
  private after: { expiresAt: number; key: string } | undefined

  constructor(overlay: Overlay, state: State) {
    this.overlay = overlay
    this.state = state
  }

  /** Keys that were to end by `nowMs`; some may have been written again since. */
  due(nowMs: number): string[] {
    const keys: string[] = []
    for (const generation of this.overlay.generations) {
      while (keys.length < DUE_KEYS_MAX) {
        const next = generation.takeDue(nowMs)
        if (next === undefined) break
        keys.push(next.key)
      }
    }
    if (keys.length === DUE_KEYS_MAX) return keys
    for (const row of this.state.due(nowMs, this.after)) {
      this.after = row
      keys.push(row.key)
      if (keys.length >= DUE_KEYS_MAX) return keys
    }
    // The end was reached: what is still in the index next time, and not removed, is due again.
    this.after = undefined
    return keys
  }
}
