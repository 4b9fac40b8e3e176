/**
 * What a write is about to do to a shard: nothing of it is there before it is committed, and what is
 * written first is seen by what follows in the same draft.
 */
import type { MemoryShard } from './memory-shard.js'

export type Effect =
  | { readonly type: 'put'; readonly bytes: Uint8Array; readonly expiresAt: number }
  /** A new expiry: neither value nor version changes. */
  | {
      readonly type: 'touch'
      readonly bytes: Uint8Array
      readonly version: number
      readonly expiresAt: number
    }
  | { readonly type: 'delete' }

/** An entry as the next write of the draft finds it; one of the draft itself has no version yet. */
export interface Found {
  readonly bytes: Uint8Array
  readonly version: number
  readonly expiresAt: number
}

export class Draft {
  /** The last effect on each key, in the order of the first. */
  readonly effects: Map<string, Effect> = new Map()
  readonly nowMs: number
  private readonly shard: MemoryShard

  constructor(shard: MemoryShard, nowMs: number) {
    this.shard = shard
    this.nowMs = nowMs
  }

  /** The version that what is put will have. */
  get revision(): number {
    return this.shard.revision + 1
  }

  find(key: string): Found | undefined {
    const effect = this.effects.get(key)
    if (effect === undefined) return this.shard.get(key, this.nowMs)
    if (effect.type === 'delete') return undefined
    const { expiresAt } = effect
    if (expiresAt !== 0 && expiresAt <= this.nowMs) return undefined
    return effect.type === 'put' ? { ...effect, version: this.revision } : effect
  }

  put(key: string, bytes: Uint8Array, expiresAt: number): void {
    this.effects.set(key, { type: 'put', bytes, expiresAt })
  }

  /** Of an entry that is there. */
  touch(key: string, { bytes, version }: Found, expiresAt: number): void {
    const isPut = this.effects.get(key)?.type === 'put'
    if (isPut) this.put(key, bytes, expiresAt)
    else this.effects.set(key, { type: 'touch', bytes, version, expiresAt })
  }

  /** What the draft itself had written leaves no trace. */
  delete(key: string): void {
    if (this.shard.get(key, this.nowMs) === undefined) this.effects.delete(key)
    else this.effects.set(key, { type: 'delete' })
  }
}
