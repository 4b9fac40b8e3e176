/**
 * An entry as the shard holds it: where its value is, not the value itself.
 *
 * A write's value stays in the memory of the log frame that carries it, so that an entry in the
 * overlay costs no copy and no view of its own.
 */

/** Memory that holds values; a frame's writer replaces its bytes while it grows. */
export interface ValueMemory {
  readonly bytes: Uint8Array
}

export interface Held {
  /** Revision that last wrote the key. */
  readonly version: number
  /** Epoch milliseconds from which the entry is no more; 0: never. */
  readonly expiresAt: number
  /** `undefined`: the key was deleted. */
  readonly memory: ValueMemory | undefined
  /** The value is `memory.bytes[start, end)`. */
  readonly start: number
  readonly end: number
}

/** An entry that is there, not deleted. */
export interface LiveHeld extends Held {
  readonly memory: ValueMemory
}

/** What a deleted key is in the overlay, until the deletion is applied. */
export function tombstone(version: number): Held {
  return { version, expiresAt: 0, memory: undefined, start: 0, end: 0 }
}

/** The entry if a reader at `nowMs` sees it: neither deleted nor over its time. */
export function visibleAt(held: Held | undefined, nowMs: number): LiveHeld | undefined {
  if (held?.memory === undefined || isExpired(held, nowMs)) return undefined
  return held as LiveHeld
}

export function isExpired(held: Held, nowMs: number): boolean {
  return held.expiresAt !== 0 && held.expiresAt <= nowMs
}

/** The value in memory of its own: for what outlives the memory it was found in. */
export function copyValue(held: LiveHeld): Uint8Array {
  // Not `slice`: that of a Buffer is a view.
  return new Uint8Array(held.memory.bytes.subarray(held.start, held.end))
}
