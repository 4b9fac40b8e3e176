/**
 * A shard that has nothing but one lock, as those who want it see it: each call takes a while to get
 * there and another to come back, and what is watched is told after a while.
 */
import type { LockEffect, LockEntry } from '@kv/protocol'
import { decideLock, decideUnlock, lockWaiterKey } from '@kv/protocol'
import type { LockPorts } from '../lock/lock-run.js'
import type { FakeClock } from './fake-clock.js'

export const LOCK = 'lock'

export interface LockLine {
  readonly ports: LockPorts
  /** Its process is gone: nothing of it arrives any more. */
  kill(): void
}

export class FakeLockShard {
  /** Versions in the order in which the lock was granted, with who got it. */
  readonly grants: { readonly owner: string; readonly version: number }[] = []
  /** Asks that were answered, and events that were told. */
  asks = 0
  told = 0
  readonly entries = new Map<string, LockEntry>()
  private readonly watchers = new Map<string, Set<() => void>>()
  private readonly clock: FakeClock
  private readonly latencyMs: () => number
  private revision = 0

  constructor(clock: FakeClock, latencyMs: () => number) {
    this.clock = clock
    this.latencyMs = latencyMs
  }

  find(key: string): LockEntry | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && entry.expiresAt > this.clock.now() ? entry : undefined
  }

  private commit(effects: readonly LockEffect[]): void {
    if (effects.length > 0) this.revision += 1
    for (const effect of effects) {
      if (effect.type === 'delete') {
        this.remove(effect.key)
        continue
      }
      const bytes = Uint8Array.from(effect.bytes)
      const version = effect.type === 'put' ? this.revision : effect.version
      const { expiresAt } = effect
      this.entries.set(effect.key, { bytes, start: 0, end: bytes.length, version, expiresAt })
      this.clock.setTimer(() => {
        this.expire(effect.key)
      }, expiresAt - this.clock.now())
    }
  }

  private expire(key: string): void {
    if (this.entries.has(key) && this.find(key) === undefined) this.remove(key)
  }

  private remove(key: string): void {
    this.entries.delete(key)
    for (const tell of this.watchers.get(key) ?? []) tell()
  }

  /** How `owner` reaches it. */
  line(owner: string, ttlMs: number, placeMs: number): LockLine {
    const name = new TextEncoder().encode(owner)
    let isAlive = true
    const later = (work: () => void): void => {
      this.clock.setTimer(() => {
        if (isAlive) work()
      }, this.latencyMs())
    }
    const call = <T>(execute: () => T): Promise<T> =>
      new Promise((resolve) => {
        later(() => {
          const answer = execute()
          later(() => {
            resolve(answer)
          })
        })
      })
    const ports: LockPorts = {
      clock: this.clock,
      ask: (ticket) =>
        call(() => {
          this.asks += 1
          const ask = {
            type: 'lock',
            key: LOCK,
            owner: name,
            ttlMs,
            ticket,
            waitMs: placeMs,
          } as const
          const { outcome, effects } = decideLock(ask, this, this.clock.now())
          this.commit(effects)
          if (outcome.type === 'queued') return outcome
          if (outcome.type === 'held') return { type: 'granted', version: outcome.version }
          if (outcome.type !== 'granted') return { type: 'busy' }
          this.grants.push({ owner, version: this.revision })
          return { type: 'granted', version: this.revision }
        }),
      unlock: (ticket) =>
        call(() => {
          this.commit(decideUnlock({ type: 'unlock', key: LOCK, owner: name, ticket }, this))
        }),
      renew: (version) =>
        call(() => {
          const entry = this.find(LOCK)
          if (entry?.version !== version) return false
          const expiresAt = this.clock.now() + ttlMs
          this.commit([{ type: 'touch', key: LOCK, bytes: name, version, expiresAt }])
          return true
        }),
      watch: (ticket, onGone) => this.watch(ticket, onGone, later),
    }
    return {
      ports,
      kill: () => {
        isAlive = false
      },
    }
  }

  private watch(ticket: number, onGone: () => void, later: (work: () => void) => void): () => void {
    const key = ticket === 0 ? LOCK : lockWaiterKey(LOCK, ticket)
    let isOver = false
    const tell = (): void => {
      later(() => {
        if (isOver) return
        isOver = true
        this.told += 1
        onGone()
      })
    }
    later(() => {
      const others = this.watchers.get(key) ?? new Set()
      this.watchers.set(key, others.add(tell))
      if (this.find(key) === undefined) tell()
    })
    return () => {
      isOver = true
      this.watchers.get(key)?.delete(tell)
    }
  }
}
