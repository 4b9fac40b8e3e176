/**
 * Ordered reads: overlay and stored state merged into one page.
 *
 * A page is made in one turn of the event loop, so it is a snapshot; it ends by count, by bytes or
 * by effort, so that a long scan is many short steps. The overlay's newest generation wins over
 * the older one, and that over the stored state.
 */
import type { KeyRange } from '@kv/protocol'
import { compareKeys, keyAfter, PAGE_BYTES_SOFT, SYSTEM_KEYS_START } from '@kv/protocol'
import type { Held, LiveHeld } from './held.js'
import { visibleAt } from './held.js'
import type { Overlay } from './overlay/overlay.js'
import type { KeyCursor } from './overlay/sorted-runs.js'
import type { State } from './state/state.js'

/** Keys looked at for one page, deleted and expired ones too: about a millisecond. */
const EXAMINED_MAX = 1_500

/** Sorts what the overlay has gathered since the last ordered read. Returns whether work is left. */
export function sortOverlay(overlay: Overlay): boolean {
  for (const generation of overlay.generations) {
    if (generation.order.sortSome()) return true
  }
  return false
}

interface Source {
  readonly cursor: KeyCursor
  readonly get: (key: string) => Held | undefined
}

interface Merged {
  readonly key: string
  readonly held: Held | undefined
}

/**
 * Every key of the range with its newest committed entry, deleted and expired ones included.
 * The overlay must be sorted. An entry is valid until the next is asked for.
 */
function* merge(
  overlay: Overlay,
  state: State,
  range: KeyRange,
  reverse: boolean,
): Generator<Merged> {
  const sources: Source[] = overlay.generations.map((generation) => ({
    cursor: generation.order.cursor(range.from, range.to, reverse),
    get: (key) => generation.get(key),
  }))
  const stored = state.range(range.from, range.to, reverse)
  try {
    let next = stored.next()
    for (;;) {
      const overlaid = firstKey(sources, reverse)
      const order = next.done === true ? 1 : compareTo(next.value.key, overlaid, reverse)
      if (order > 0) {
        if (overlaid === undefined) return
        yield { key: overlaid, held: takeNewest(sources, overlaid) }
        continue
      }
      const found = next.value as { key: string; held: LiveHeld }
      // At the same key the stored entry is the older one.
      const held = order === 0 ? takeNewest(sources, found.key) : found.held
      yield { key: found.key, held }
      next = stored.next()
    }
  } finally {
    stored.return(undefined)
  }
}

function compareTo(key: string, other: string | undefined, reverse: boolean): number {
  if (other === undefined) return -1
  return reverse ? compareKeys(other, key) : compareKeys(key, other)
}

function firstKey(sources: readonly Source[], reverse: boolean): string | undefined {
  let first: string | undefined
  for (const { cursor } of sources) {
    const { key } = cursor
    if (key !== undefined && (first === undefined || compareTo(key, first, reverse) < 0)) {
      first = key
    }
  }
  return first
}

/** Steps every source beyond `key`; the first, newest one that has it gives the entry. */
function takeNewest(sources: readonly Source[], key: string): Held | undefined {
  let newest: Held | undefined
  for (const { cursor, get } of sources) {
    if (cursor.key !== key) continue
    newest ??= get(key)
    cursor.advance()
  }
  return newest
}

export interface PageRequest {
  readonly range: KeyRange
  readonly reverse: boolean
  readonly limit: number
  readonly nowMs: number
  /** Bytes of keys and values after which the page ends; the entry that passes it is in it. */
  readonly bytesSoft?: number
  /** Those of the system, too: for copies of all there is, not for anybody who asks. */
  readonly withSystemKeys?: boolean
}

export interface PageEnd {
  /**
   * The bound with which the rest is to be asked for (`from` forwards, `to` in reverse); `undefined` if the
   * range is exhausted.
   */
  readonly resume: string | undefined
  /** Keys that were looked at, deleted and expired ones too: what the page cost. */
  readonly examined: number
}

/** Hands out the visible entries of one page, in order; those of the system only where asked. */
export function readPage(
  overlay: Overlay,
  state: State,
  request: PageRequest,
  onEntry: (key: string, held: LiveHeld) => void,
): PageEnd {
  const { reverse, limit, nowMs, bytesSoft = PAGE_BYTES_SOFT } = request
  let examined = 0
  let entries = 0
  let bytes = 0
  const { from, to = request.withSystemKeys === true ? undefined : SYSTEM_KEYS_START } =
    request.range
  for (const { key, held } of merge(overlay, state, { from, to }, reverse)) {
    const visible = visibleAt(held, nowMs)
    examined += 1
    if (visible !== undefined) {
      onEntry(key, visible)
      entries += 1
      bytes += key.length + visible.end - visible.start
    }
    if (entries === limit || bytes >= bytesSoft || examined === EXAMINED_MAX) {
      return { resume: reverse ? key : keyAfter(key), examined }
    }
  }
  return { resume: undefined, examined }
}
