/**
 * What an operation does to the keys of a partition, judged by what its client was told. Pure.
 */
import type { Action, Answer, Operation } from '../history/operation.js'
import {
  EMPTY_REGISTER,
  observe,
  refuse,
  registerKey,
  remove,
  satisfy,
  write,
  type Register,
} from './register.js'

/** The registers of a partition, by the position of their keys. */
export type State = readonly Register[]

export class Model {
  readonly initial: State
  private readonly positions: ReadonlyMap<string, number>

  constructor(keys: readonly string[]) {
    this.positions = new Map(keys.map((key, position) => [key, position]))
    this.initial = keys.map(() => EMPTY_REGISTER)
  }

  /**
   * The state after the operation; `undefined` if it can't have happened here. The very same state
   * if it changed nothing. An operation without an answer has its effect: one that had none is one
   * that never happened.
   */
  step(state: State, { action, answer }: Operation): State | undefined {
    if (action.type === 'atomic') return this.stepAtomic(state, action, answer)
    const position = this.position(action.key)
    const before = state[position] ?? EMPTY_REGISTER
    const after = stepOne(before, action, answer)
    return after === undefined ? undefined : replaced(state, position, after)
  }

  private stepAtomic(
    state: State,
    { checks, sets }: Extract<Action, { type: 'atomic' }>,
    answer: Answer | undefined,
  ): State | undefined {
    const conflicts = answer?.type === 'refused' ? answer.conflicts : []
    let after: State | undefined = state
    for (const { key, version } of checks) {
      if (after === undefined) return undefined
      const conflict = conflicts.find((each) => each.key === key)
      after = this.with(after, key, (register) =>
        conflict === undefined
          ? satisfy(register, version)
          : refuse(register, version, conflict.current),
      )
    }
    if (answer?.type === 'refused') return conflicts.length > 0 ? after : undefined
    const version = answer?.type === 'written' ? answer.version : undefined
    for (const { key, value } of sets) {
      if (after === undefined) return undefined
      after = this.with(after, key, (register) => write(register, value, version))
    }
    return after
  }

  private with(
    state: State,
    key: string,
    change: (register: Register) => Register | undefined,
  ): State | undefined {
    const position = this.position(key)
    const after = change(state[position] ?? EMPTY_REGISTER)
    return after === undefined ? undefined : replaced(state, position, after)
  }

  private position(key: string): number {
    const position = this.positions.get(key)
    if (position === undefined) throw new RangeError(`${key} is not of this partition`)
    return position
  }
}

export function stateKey(state: State): string {
  return state.map(registerKey).join('\n')
}

function replaced(state: State, position: number, register: Register): State {
  return state[position] === register ? state : state.with(position, register)
}

type SingleAction = Exclude<Action, { type: 'atomic' }>

function stepOne(
  register: Register,
  action: SingleAction,
  answer: Answer | undefined,
): Register | undefined {
  switch (action.type) {
    case 'read':
      return answer?.type === 'read' ? observe(register, answer.found) : undefined
    case 'set':
      return stepSet(register, action, answer)
    case 'delete':
      return stepDelete(register, action, answer)
    case 'increment':
      return stepIncrement(register, action, answer)
    case 'expire':
      return register.value === action.value ? remove(register) : register
  }
}

function stepSet(
  register: Register,
  { value, ifVersion }: Extract<Action, { type: 'set' }>,
  answer: Answer | undefined,
): Register | undefined {
  if (answer?.type === 'refused') {
    if (ifVersion === undefined) return undefined
    return refuse(register, ifVersion, answer.conflicts[0]?.current)
  }
  const allowed = ifVersion === undefined ? register : satisfy(register, ifVersion)
  if (allowed === undefined) return undefined
  return write(allowed, value, answer?.type === 'written' ? answer.version : undefined)
}

function stepDelete(
  register: Register,
  { ifVersion }: Extract<Action, { type: 'delete' }>,
  answer: Answer | undefined,
): Register | undefined {
  if (answer?.type === 'refused') {
    if (ifVersion === undefined) return undefined
    return refuse(register, ifVersion, answer.conflicts[0]?.current)
  }
  if (answer?.type === 'deleted' && !answer.existed) {
    return register.value === undefined ? register : undefined
  }
  const allowed = ifVersion === undefined ? register : satisfy(register, ifVersion)
  return allowed?.value === undefined ? undefined : remove(allowed)
}

function stepIncrement(
  register: Register,
  { by }: Extract<Action, { type: 'increment' }>,
  answer: Answer | undefined,
): Register | undefined {
  const before = register.value ?? 0
  if (typeof before !== 'number') return undefined
  const after = before + by
  if (answer?.type !== 'written') return write(register, after, undefined)
  return answer.value === after ? write(register, after, answer.version) : undefined
}
