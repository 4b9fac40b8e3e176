/** Arithmetic of `increment`, the one operation of the node that looks into a value. */
import { readNumberValue } from '@kv/protocol'
import type { LiveHeld } from '../held.js'

export type Counted =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly code: 'NOT_A_NUMBER' | 'OUT_OF_RANGE'; readonly why: string }

/** Adds `by` to the stored number (absent: 0) within bounds and within what stays exact. */
export function count(
  held: LiveHeld | undefined,
  step: { readonly by: number; readonly min: number | undefined; readonly max: number | undefined },
): Counted {
  const before = held === undefined ? 0 : readNumberValue(held.memory.bytes, held.start, held.end)
  if (before === undefined) {
    return { ok: false, code: 'NOT_A_NUMBER', why: 'the key holds something that is no number' }
  }
  const value = before + step.by
  const min = Math.max(step.min ?? -Infinity, -Number.MAX_SAFE_INTEGER)
  const max = Math.min(step.max ?? Infinity, Number.MAX_SAFE_INTEGER)
  if (value < min || value > max) {
    return {
      ok: false,
      code: 'OUT_OF_RANGE',
      why: `${before} + ${step.by} is not in [${min}, ${max}]`,
    }
  }
  return { ok: true, value }
}
