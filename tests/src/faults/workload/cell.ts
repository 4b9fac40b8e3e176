/**
 * A few keys that several clients work on together, until so many operations have gone over them;
 * then fresh ones take their place. Few keys make calls meet; fresh ones bound how many operations of
 * unknown outcome stay open on one, which is what a checker's time grows with.
 */
import type { SeededRandom } from '../../load/seeded-random.js'
import type { Action, Answer, Condition, Found } from '../history/operation.js'
import { keysOf } from '../history/operation.js'

/** What a cell's clients mostly do. */
export type CellKind = 'mixed' | 'hot' | 'counter' | 'atomic' | 'ttl'

export interface CellOptions {
  readonly kind: CellKind
  /** Begins the keys; no other cell has it. */
  readonly prefix: string
  readonly operationsMax: number
}

const KEYS: Readonly<Record<CellKind, number>> = {
  mixed: 4,
  hot: 1,
  counter: 2,
  atomic: 3,
  ttl: 2,
}

export class Cell {
  private readonly options: CellOptions
  private readonly random: SeededRandom
  private keys: string[] = []
  private generation = 0
  private left = 0
  private values = 0
  /** By key: what stands there, as far as anybody was told. */
  private readonly seen = new Map<string, Condition>()

  constructor(options: CellOptions, random: SeededRandom) {
    this.options = options
    this.random = random
  }

  next(): Action {
    if (this.left === 0) this.renew()
    this.left -= 1
    const key = this.random.pick(this.keys)
    const choice = this.random.below(100)
    switch (this.options.kind) {
      case 'mixed':
      case 'hot':
        return this.mixed(key, choice)
      case 'counter':
        return choice < 25 ? { type: 'read', key } : { type: 'increment', key, by: 1 }
      case 'atomic':
        return this.atomic(key, choice)
      case 'ttl':
        return this.expiring(key, choice)
    }
  }

  /** One more operation that stays open: its keys are given up the sooner. */
  lost(): void {
    const { kind, operationsMax } = this.options
    // Of an expiry nobody is told, so each open write may also have ended at any time.
    const cost = kind === 'ttl' ? operationsMax : operationsMax / 6
    this.left = Math.max(0, Math.floor(this.left - cost))
  }

  private renew(): void {
    const { kind, prefix, operationsMax } = this.options
    this.generation += 1
    this.left = operationsMax
    this.seen.clear()
    // The tag keeps the keys of an atomic batch in one shard.
    const tag = kind === 'atomic' ? `{${prefix}${this.generation}}` : `${prefix}${this.generation}`
    this.keys = Array.from({ length: KEYS[kind] }, (_, index) => `${tag}/${kind}/${index}`)
  }

  private mixed(key: string, choice: number): Action {
    if (choice < 35) return { type: 'read', key }
    if (choice < 60) return { type: 'set', key, value: this.value() }
    if (choice < 82) return { type: 'set', key, value: this.value(), ifVersion: this.guess(key) }
    if (choice < 92) return { type: 'delete', key }
    return { type: 'delete', key, ifVersion: this.guess(key) ?? 1 }
  }

  private atomic(key: string, choice: number): Action {
    if (choice < 30) return { type: 'read', key }
    if (choice < 40) return { type: 'set', key, value: this.value() }
    const value = this.value()
    const checked = this.keys.filter(() => this.random.below(2) === 0)
    return {
      type: 'atomic',
      checks: checked.map((each) => ({ key: each, version: this.guess(each) })),
      sets: this.keys.map((each) => ({ key: each, value })),
    }
  }

  private expiring(key: string, choice: number): Action {
    if (choice < 45) return { type: 'read', key }
    if (choice < 60) return { type: 'set', key, value: this.value() }
    return { type: 'set', key, value: this.value(), ttlMs: 50 + this.random.below(700) }
  }

  private value(): string {
    this.values += 1
    return `${this.options.prefix}${this.values}`
  }

  /** Mostly what stands there. */
  private guess(key: string): Condition {
    return this.random.below(10) === 0 ? null : (this.seen.get(key) ?? null)
  }

  /** What was told of the keys, to guess by. */
  learn(action: Action, answer: Answer): void {
    switch (answer.type) {
      case 'read':
        if (action.type === 'read') this.saw(action.key, answer.found)
        return
      case 'written':
        for (const key of writtenBy(action)) this.seen.set(key, answer.version)
        return
      case 'deleted':
        for (const key of keysOf(action)) this.seen.set(key, null)
        return
      case 'refused':
        for (const { key, current } of answer.conflicts) this.saw(key, current)
    }
  }

  private saw(key: string, found: Found | undefined): void {
    if (found === undefined) this.seen.set(key, null)
    else if (found.version !== undefined) this.seen.set(key, found.version)
  }
}

function writtenBy(action: Action): readonly string[] {
  return action.type === 'atomic' ? action.sets.map(({ key }) => key) : keysOf(action)
}
