/**
 * A shard in memory: entries with versions and expiry, in key order when asked.
 *
 * Every change comes as a draft, and takes effect as one revision, as in the log of a node. An entry
 * whose time is over is gone for every reader at once, and is ended by a revision of its own.
 */
import { compareKeys, SYSTEM_KEYS_START } from '@kv/protocol'
import type { KeyRange } from '@kv/protocol'
import type { Draft } from './draft.js'
import type { Change } from './history.js'
import { History } from './history.js'

export interface Stored {
  /** The value, encoded. Nobody changes it. */
  readonly bytes: Uint8Array
  readonly version: number
  /** Epoch milliseconds from which the entry is no more; 0: never. */
  readonly expiresAt: number
}

/** Keys written since the last ordered read that are put in order at the latest then. */
const UNORDERED_KEYS_MAX = 100_000

export class MemoryShard {
  /** Positive from the start: it is the version of an atomic batch that changes nothing. */
  revision = 1
  readonly history: History = new History()
  /** Called after each revision. */
  onRevision: () => void = () => {}
  private readonly entries = new Map<string, Stored>()
  /** Keys in order, some of them gone. */
  private ordered: string[] = []
  /** Keys that are not in order yet. */
  private unordered: string[] = []
  /** Keys of entries that expire, and no time before which one does. */
  private readonly expiring = new Set<string>()
  private earliestExpiry = Infinity

  /** When an entry expires next, at the earliest. */
  get nextExpiry(): number {
    return this.earliestExpiry
  }

  get(key: string, nowMs: number): Stored | undefined {
    const stored = this.entries.get(key)
    return stored === undefined || isExpired(stored, nowMs) ? undefined : stored
  }

  /** The keys of the range that are there, in order; those of the system are in no range. */
  *keysIn(range: KeyRange, reverse: boolean, nowMs: number): Generator<string, undefined> {
    const keys = this.keysInOrder()
    const start = firstAtOrAfter(keys, range.from)
    const end = firstAtOrAfter(keys, range.to ?? SYSTEM_KEYS_START)
    for (let step = 0; step < end - start; step += 1) {
      const key = keys[reverse ? end - 1 - step : start + step]!
      if (this.get(key, nowMs) !== undefined) yield key
    }
    return undefined
  }

  private keysInOrder(): string[] {
    if (this.unordered.length > 0) {
      const isThere = (key: string): boolean => this.entries.has(key)
      const added = this.unordered.filter(isThere).toSorted(compareKeys)
      // Two runs in order each: sorting merges them. A key that came back may be in both.
      const keys = this.ordered.filter(isThere).concat(added).toSorted(compareKeys)
      this.ordered = keys.filter((key, index) => key !== keys[index - 1])
      this.unordered = []
    }
    return this.ordered
  }

  /** Takes the changes of the draft as the next revision. */
  commit(draft: Draft): void {
    if (draft.effects.size === 0) return
    this.revision += 1
    const changes: Change[] = []
    for (const [key, effect] of draft.effects) {
      if (effect.type === 'delete') {
        this.remove(key)
        changes.push({ type: 'delete', key })
        continue
      }
      const version = effect.type === 'put' ? this.revision : effect.version
      const stored = { bytes: effect.bytes, version, expiresAt: effect.expiresAt }
      this.put(key, stored)
      if (effect.type === 'put') changes.push({ type: 'set', key, stored })
    }
    this.history.add(this.revision, changes)
    this.onRevision()
  }

  /** Ends the entries whose time is over. */
  expire(nowMs: number): void {
    if (nowMs < this.earliestExpiry) return
    this.earliestExpiry = Infinity
    const changes: Change[] = []
    for (const key of this.expiring) {
      const { expiresAt } = this.entries.get(key)!
      if (expiresAt <= nowMs) {
        this.remove(key)
        changes.push({ type: 'expire', key })
      } else if (expiresAt < this.earliestExpiry) {
        this.earliestExpiry = expiresAt
      }
    }
    if (changes.length === 0) return
    this.revision += 1
    this.history.add(this.revision, changes)
    this.onRevision()
  }

  private put(key: string, stored: Stored): void {
    if (!this.entries.has(key)) this.unordered.push(key)
    this.entries.set(key, stored)
    if (this.unordered.length > UNORDERED_KEYS_MAX) this.keysInOrder()
    if (stored.expiresAt === 0) {
      this.expiring.delete(key)
      return
    }
    this.expiring.add(key)
    this.earliestExpiry = Math.min(this.earliestExpiry, stored.expiresAt)
  }

  private remove(key: string): void {
    this.entries.delete(key)
    this.expiring.delete(key)
  }
}

function isExpired({ expiresAt }: Stored, nowMs: number): boolean {
  return expiresAt !== 0 && expiresAt <= nowMs
}

/** Index of the first of the ordered keys that is not before `bound`. */
function firstAtOrAfter(keys: readonly string[], bound: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareKeys(keys[middle]!, bound) < 0) low = middle + 1
    else high = middle
  }
  return low
}
