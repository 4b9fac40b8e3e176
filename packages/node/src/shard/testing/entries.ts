/** Entries whose values are texts, and keys on which orders and encodings tend to differ. */
import type { Held, LiveHeld } from '../held.js'

/** Parts of keys: on both sides of the surrogates, of every length in UTF-8, and NUL. */
export const KEY_PARTS: readonly string[] = [
  '\0',
  'a',
  'b',
  '\u007f',
  'é',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '😀',
  '\u{10ffff}',
]

/** Longest key there may be, of characters that take four bytes each. */
export const LONGEST_KEY: string = '😀'.repeat(512)

export function textHeld(
  text: string,
  version: number = 1,
  options: { readonly expiresAt?: number } = {},
): LiveHeld {
  // Not at the start of its memory, as in a frame.
  const bytes = Buffer.from(`##${text}#`)
  const { expiresAt = 0 } = options
  return { version, expiresAt, memory: { bytes }, start: 2, end: bytes.length - 1 }
}

export function textOf(held: Held | undefined): string | undefined {
  if (held?.memory === undefined) return undefined
  return Buffer.from(held.memory.bytes.subarray(held.start, held.end)).toString()
}

/** The order that every ordered read must have. */
export function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

export function sortedKeys(keys: Iterable<string>): string[] {
  return [...new Set(keys)].toSorted(compareBytes)
}

/** The keys of `[from, to)` in the direction asked for. */
export function keysInRange(
  keys: Iterable<string>,
  range: { readonly from: string; readonly to: string | undefined },
  reverse: boolean,
): string[] {
  const { from, to } = range
  const inside = sortedKeys(keys).filter(
    (key) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0),
  )
  return reverse ? inside.toReversed() : inside
}
