/**
 * What a simulated copy stores: a few keys, and what it remembers of its clients. A fold of records
 * whose effects are decided, so that folding one again changes nothing.
 */
import type { LogFrame } from '../../log/frame.js'
import { lastRevisionOf } from '../../log/frame.js'

export const KEYS = 9
export const CLIENTS = 3
/** Results above the low-water mark that a client leaves unconfirmed. */
const UNCONFIRMED = 2

export interface Effect {
  readonly kind: 'put' | 'delete' | 'touch'
  readonly key: number
  readonly client: number
  readonly sequence: number
}

/** A frame with what its body says. */
export interface ModelFrame extends LogFrame {
  readonly effect: Effect | undefined
}

interface ModelEntry {
  readonly version: number
  readonly endsAt: number
}

export class ModelState {
  readonly entries = new Map<number, ModelEntry>()
  /** By client: revisions by sequence number. */
  readonly sessions = new Map<number, Map<number, number>>()

  fold(frame: ModelFrame): void {
    const { effect } = frame
    if (effect === undefined) return
    const revision = lastRevisionOf(frame)
    const current = this.entries.get(effect.key)
    if (effect.kind === 'put') this.entries.set(effect.key, { version: revision, endsAt: 0 })
    else if (effect.kind === 'delete') this.entries.delete(effect.key)
    else if (current !== undefined) {
      this.entries.set(effect.key, { version: current.version, endsAt: revision })
    }
    this.remember(effect, revision)
  }

  private remember({ client, sequence }: Effect, revision: number): void {
    const results = this.sessions.get(client) ?? new Map<number, number>()
    this.sessions.set(client, results)
    results.set(sequence, revision)
    for (const each of results.keys()) {
      if (each <= sequence - UNCONFIRMED) results.delete(each)
    }
  }

  clone(): ModelState {
    const copy = new ModelState()
    copy.take(this.entries, this.sessions)
    return copy
  }

  take(
    entries: ReadonlyMap<number, ModelEntry>,
    sessions: ReadonlyMap<number, ReadonlyMap<number, number>>,
  ): void {
    for (const [key, entry] of entries) this.entries.set(key, entry)
    for (const [client, results] of sessions) this.sessions.set(client, new Map(results))
  }

  /** Equal for equal states. */
  describe(): string {
    const entries = Array.from(this.entries).toSorted(([a], [b]) => a - b)
    const sessions = Array.from(this.sessions, ([client, results]) => [
      client,
      Array.from(results).toSorted(([a], [b]) => a - b),
    ]).toSorted(([a], [b]) => (a as number) - (b as number))
    return JSON.stringify([entries, sessions])
  }
}
