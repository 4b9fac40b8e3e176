/**
 * How long to wait before something that keeps failing is tried again: 0, 100, 200, 400 ms … up to
 * 30 s. Half of each pause is chance, so that what failed together does not return together.
 */
const FIRST_PAUSE_MS = 100
const PAUSE_MS_MAX = 30_000

/**
 * `failures` counts from 1: the first failure is retried at once. `chance` is in [0, 1).
 */
export function pauseAfter(failures: number, chance: number): number {
  if (failures <= 1) return 0
  const full = Math.min(PAUSE_MS_MAX, FIRST_PAUSE_MS * 2 ** (failures - 2))
  return Math.round(full / 2 + (full / 2) * chance)
}
