/**
 * Moves committed writes from a shard's overlay into its stored state.
 *
 * Rarely and in bulk, in key order, because the cost follows the pages touched; in slices of about
 * a millisecond, because reads and the log share the event loop; and one shard at a time per child,
 * because several at once make every sync of a log wait (measured: ADR 0002).
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Generation } from '../overlay/generation.js'
import type { Overlay } from '../overlay/overlay.js'
import type { SessionChanges } from '../sessions/session-table.js'
import type { Change, State } from './state.js'

const SLICE_CHANGES = 1_024
const SLICE_BYTES_SOFT = 262_144

/** What is stored beside the entries, in the transaction that moves the mark `applied`. */
export interface AppliedBeside {
  readonly sessions: {
    /** As they are at this revision, the last that has committed; the same until `stored`. */
    freeze(revision: number): SessionChanges
    stored(): void
  }
  /** No frame has a later time, in epoch milliseconds. */
  readonly timeMs: number
  /** Where what is applied comes from, unless all of it is durable. */
  readonly log?: { sync(): Promise<void> }
}

/** Applies what the overlay holds. Resolves when it is in the state, on disk, and dropped. */
export async function applyOverlay(
  overlay: Overlay,
  state: State,
  beside: AppliedBeside,
): Promise<void> {
  const generation = overlay.isApplying ? overlay.generations[1] : overlay.freeze()
  // Frozen already: an attempt before this one failed, and the whole generation is due again.
  if (generation === undefined) return
  const sessions = beside.sessions.freeze(generation.lastRevision)
  // The state must not hold what the log may lose.
  await beside.log?.sync()
  while (generation.order.sortSome()) await nextTurn()
  await storeGeneration(generation, state, { sessions, timeMs: beside.timeMs })
  state.refresh()
  overlay.dropFrozen()
  beside.sessions.stored()
  await state.flushed()
}

async function storeGeneration(
  generation: Generation,
  state: State,
  beside: { readonly sessions: SessionChanges; readonly timeMs: number },
): Promise<void> {
  const cursor = generation.order.cursor('', undefined, false)
  const applyingRevision = Math.max(generation.lastRevision, state.marks.applyingRevision)
  for (let first = true; cursor.key !== undefined; first = false) {
    await state.write(takeSlice(generation, cursor), first ? { applyingRevision } : undefined)
  }
  // Only now, in a transaction after all others: the state holds everything up to here.
  const marks = {
    appliedRevision: generation.lastRevision,
    applyingRevision,
    sessionFloor: beside.sessions.floor,
    timeMs: Math.max(beside.timeMs, state.marks.timeMs),
  }
  await state.write([], marks, beside.sessions)
}

function takeSlice(
  generation: Generation,
  cursor: { readonly key: string | undefined; advance(): void },
): Change[] {
  const slice: Change[] = []
  let bytes = 0
  for (let { key } = cursor; key !== undefined; { key } = cursor) {
    const held = generation.get(key)
    if (held === undefined) throw new Error(`generation without its key ${JSON.stringify(key)}`)
    slice.push({ key, held })
    bytes += held.end - held.start
    cursor.advance()
    if (slice.length === SLICE_CHANGES || bytes >= SLICE_BYTES_SOFT) break
  }
  return slice
}
