/**
 * Whose session goes. Pure.
 *
 * Idle ones always. For want of memory, first those that take more than their part, so that a client
 * with one call that hangs does not cost the others theirs; then those used least recently.
 */
import type { Session } from './session.js'

/** Sessions one entry of the log evicts at most. */
export const EVICTED_MAX = 1_024
/** A session above this part of all the memory goes before any other. */
const LARGE_PART = 0.5
/** So much of the memory is made free at once, so that not every write has to look. */
const SPARE_PART = 0.125

export interface EvictionNeed {
  /** Bytes above the limit; 0 or less: none. */
  readonly excessBytes: number
  /** Who was not used since then is idle. */
  readonly idleSinceMs: number
  /** The limit, in bytes. */
  readonly max: number
}

export function chooseEvicted(sessions: Iterable<Session>, need: EvictionNeed): number[] {
  const candidates = Array.from(sessions).filter((session) => session.evictedAt === 0)
  const chosen: number[] = []
  let dueBytes = need.excessBytes > 0 ? need.excessBytes + need.max * SPARE_PART : 0
  const isLarge = (session: Session): boolean => session.bytes > need.max * LARGE_PART
  candidates.sort((a, b) => Number(isLarge(b)) - Number(isLarge(a)) || a.usedAtMs - b.usedAtMs)
  for (const session of candidates) {
    if (chosen.length === EVICTED_MAX) break
    if (session.usedAtMs > need.idleSinceMs && dueBytes <= 0) continue
    chosen.push(session.clientId)
    dueBytes -= session.bytes
  }
  return chosen
}
