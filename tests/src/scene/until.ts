/**
 * Waiting for something to be so, at most for a bounded time: the only way tests wait when no event
 * says it.
 */
import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 10
export const PATIENCE_MS = 25_000

/** Resolves with the first result that counts as true. `what` says what was waited for in vain. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  patienceMs: number = PATIENCE_MS,
): Promise<Exclude<T, undefined | false | null | 0 | ''>> {
  const giveUpAt = performance.now() + patienceMs
  for (;;) {
    const found = await condition()
    if (found) return found as Exclude<T, undefined | false | null | 0 | ''>
    if (performance.now() > giveUpAt) throw new Error(`not within ${patienceMs} ms: ${what}`)
    await delay(POLL_MS)
  }
}
