/**
 * Looks for one order of the operations that a single copy could have gone through: Wing and Gong's
 * search with Lowe's memory of what was tried (the algorithm of Porcupine and Knossos).
 *
 * Three things keep it short, and none changes the verdict. An operation that changes nothing takes
 * its place as soon as it can: no order is better with it later. Open operations are tried last, and
 * need no place at all. Of several open ones that ask for the very same, the first called goes first,
 * and an expiry goes behind the write that it ends.
 */
import type { Operation, Value } from '../history/operation.js'
import { isOpen, keysOf } from '../history/operation.js'
import { EventList } from './event-list.js'
import { Model, stateKey, type State } from './model.js'

export interface SearchLimits {
  /** Time for one partition. */
  readonly timeMsMax: number
  /** Situations remembered for one partition. */
  readonly statesMax: number
}

export const SEARCH_LIMITS: SearchLimits = { timeMsMax: 20_000, statesMax: 500_000 }

export type Verdict =
  | { readonly kind: 'linearizable' }
  /** `longest`: the longest order that was possible; nothing of `stuck` could follow it. */
  | {
      readonly kind: 'violation'
      readonly longest: readonly Operation[]
      readonly stuck: readonly Operation[]
    }
  /** A limit was reached: nothing is known, which is no better than a violation. */
  | { readonly kind: 'gave-up'; readonly why: string }

interface Turn {
  readonly candidates: readonly number[]
  tried: number
}

interface Taken {
  readonly operation: number
  readonly before: State
  readonly turn: Turn
}

const NONE = -1

/** How often the clock is looked at. */
const STEPS_PER_LOOK = 1_024

export function search(
  operations: readonly Operation[],
  limits: SearchLimits = SEARCH_LIMITS,
  now: () => number = () => performance.now(),
): Verdict {
  return new Search(operations, limits, now).run()
}

class Search {
  private readonly operations: readonly Operation[]
  private readonly limits: SearchLimits
  private readonly now: () => number
  private readonly model: Model
  private readonly list: EventList
  /** By operation: the one that has its place before it in every order worth a look, or -1. */
  private readonly forerunners: Int32Array
  /** A bit per operation that has taken its place. */
  private readonly placed: Uint16Array
  private readonly seen = new Set<string>()
  private readonly order: Taken[] = []
  private remaining: number
  private longest: readonly number[] = []
  private stuck: readonly number[] = []

  constructor(operations: readonly Operation[], limits: SearchLimits, now: () => number) {
    this.operations = operations
    this.limits = limits
    this.now = now
    this.model = new Model([...new Set(operations.flatMap(({ action }) => keysOf(action)))])
    this.list = new EventList(operations)
    this.forerunners = forerunnersOf(operations)
    this.placed = new Uint16Array(Math.ceil(operations.length / 16))
    this.remaining = operations.filter((operation) => !isOpen(operation)).length
  }

  run(): Verdict {
    const deadline = this.now() + this.limits.timeMsMax
    let state = this.model.initial
    let turn = this.turnAt(state)
    for (let step = 1; this.remaining > 0; step += 1) {
      if (step % STEPS_PER_LOOK === 0 && this.now() > deadline) return gaveUp('time')
      if (this.seen.size > this.limits.statesMax) return gaveUp('memory')
      const operation = turn.candidates[turn.tried]
      turn.tried += 1
      if (operation === undefined) {
        const last = this.order.pop()
        if (last === undefined) return this.violation()
        this.putBack(last.operation)
        ;({ before: state, turn } = last)
        continue
      }
      const after = this.model.step(state, this.at(operation))
      if (after === undefined || !this.place(operation, after)) continue
      this.order.push({ operation, before: state, turn })
      state = after
      turn = this.turnAt(state)
      if (this.order.length > this.longest.length) this.remember(turn)
    }
    return { kind: 'linearizable' }
  }

  private at(index: number): Operation {
    return this.operations[index] as Operation
  }

  private isPlaced(index: number): boolean {
    return ((this.placed[index >>> 4] ?? 0) & (1 << (index & 15))) !== 0
  }

  private flip(index: number): void {
    const word = index >>> 4
    this.placed[word] = (this.placed[word] ?? 0) ^ (1 << (index & 15))
  }

  /** False if the situation it leads to was tried before. */
  private place(index: number, after: State): boolean {
    this.flip(index)
    const situation = `${String.fromCharCode(...this.placed)}${stateKey(after)}`
    if (this.seen.has(situation)) {
      this.flip(index)
      return false
    }
    this.seen.add(situation)
    this.list.lift(index)
    if (!isOpen(this.at(index))) this.remaining -= 1
    return true
  }

  private putBack(index: number): void {
    this.flip(index)
    this.list.putBack(index)
    if (!isOpen(this.at(index))) this.remaining += 1
  }

  private turnAt(state: State): Turn {
    const closed: number[] = []
    const open: number[] = []
    for (const index of this.list.candidates()) {
      const forerunner = this.forerunners[index] ?? NONE
      if (forerunner !== NONE && !this.isPlaced(forerunner)) continue
      const operation = this.at(index)
      if (isOpen(operation)) {
        open.push(index)
        continue
      }
      if (this.model.step(state, operation) === state) return { candidates: [index], tried: 0 }
      closed.push(index)
    }
    return { candidates: closed.concat(open), tried: 0 }
  }

  private remember(turn: Turn): void {
    this.longest = this.order.map(({ operation }) => operation)
    this.stuck = turn.candidates
  }

  private violation(): Verdict {
    if (this.longest.length === 0) this.stuck = this.turnAt(this.model.initial).candidates
    return {
      kind: 'violation',
      longest: this.longest.map((index) => this.at(index)),
      stuck: this.stuck.map((index) => this.at(index)),
    }
  }
}

function gaveUp(what: string): Verdict {
  return { kind: 'gave-up', why: `the checker reached its limit of ${what}` }
}

/** An expiry comes after the write that it ends, an open operation after one that asks for the same. */
function forerunnersOf(operations: readonly Operation[]): Int32Array {
  const forerunners = new Int32Array(operations.length).fill(NONE)
  const writes = new Map<Value, number>()
  for (const [index, { action }] of operations.entries()) {
    if (action.type === 'set') writes.set(action.value, index)
  }
  const lastOpen = new Map<string, number>()
  const byCall = [...operations.keys()].sort(
    (left, right) => calledAt(operations, left) - calledAt(operations, right),
  )
  for (const index of byCall) {
    const operation = operations[index] as Operation
    const { action } = operation
    if (action.type === 'expire') forerunners[index] = writes.get(action.value) ?? NONE
    else if (isOpen(operation)) {
      const asked = JSON.stringify(action)
      forerunners[index] = lastOpen.get(asked) ?? NONE
      lastOpen.set(asked, index)
    }
  }
  return forerunners
}

function calledAt(operations: readonly Operation[], index: number): number {
  return operations[index]?.invokedAt ?? 0
}
