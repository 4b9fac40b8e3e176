/**
 * Short histories as a person writes them: each line is an operation with its times.
 */
import type { Action, Answer, Condition, Found, Operation, Value } from '../history/operation.js'

export const KEY = 'k'

function line(
  times: readonly [number, number],
  action: Action,
  answer: Answer | undefined,
): Operation {
  const [invokedAt, returnedAt] = times
  return { client: invokedAt, action, invokedAt, returnedAt, answer }
}

export function found(value: Value, version?: number): Found {
  return { value, version }
}

export function read(
  from: number,
  to: number,
  shown: Found | undefined,
  key: string = KEY,
): Operation {
  return line([from, to], { type: 'read', key }, { type: 'read', found: shown })
}

export function set(
  from: number,
  to: number,
  value: Value,
  version: number,
  key: string = KEY,
): Operation {
  return line([from, to], { type: 'set', key, value }, { type: 'written', version })
}

/** A set whose client never learned what became of it. */
export function lostSet(from: number, value: Value, ifVersion?: Condition): Operation {
  return line([from, Infinity], { type: 'set', key: KEY, value, ifVersion }, undefined)
}

export function setIf(
  from: number,
  to: number,
  value: Value,
  ifVersion: Condition,
  version: number,
): Operation {
  const action: Action = { type: 'set', key: KEY, value, ifVersion }
  return line([from, to], action, { type: 'written', version })
}

export function refusedSet(
  from: number,
  to: number,
  value: Value,
  ifVersion: Condition,
  current: Found | undefined,
): Operation {
  const action: Action = { type: 'set', key: KEY, value, ifVersion }
  return line([from, to], action, { type: 'refused', conflicts: [{ key: KEY, current }] })
}

export function remove(from: number, to: number, existed: boolean): Operation {
  return line([from, to], { type: 'delete', key: KEY }, { type: 'deleted', existed })
}

export function removeIf(from: number, to: number, ifVersion: number): Operation {
  const action: Action = { type: 'delete', key: KEY, ifVersion }
  return line([from, to], action, { type: 'deleted', existed: true })
}

export function lostRemove(from: number): Operation {
  return line([from, Infinity], { type: 'delete', key: KEY }, undefined)
}

export function add(
  from: number,
  to: number,
  by: number,
  value: number,
  version: number,
): Operation {
  const action: Action = { type: 'increment', key: KEY, by }
  return line([from, to], action, { type: 'written', value, version })
}

export function lostAdd(from: number, by: number): Operation {
  return line([from, Infinity], { type: 'increment', key: KEY, by }, undefined)
}

export function expire(from: number, to: number, value: Value): Operation {
  return line([from, to], { type: 'expire', key: KEY, value }, undefined)
}

export function atomic(
  from: number,
  to: number,
  asked: Omit<Extract<Action, { type: 'atomic' }>, 'type'>,
  answer: Answer | undefined,
): Operation {
  return line([from, to], { type: 'atomic', ...asked }, answer)
}
