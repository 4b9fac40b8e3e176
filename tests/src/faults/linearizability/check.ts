/**
 * Checks a whole history: each key by itself, keys that were in one atomic batch together. That is
 * sound because registers are independent of each other (Herlihy and Wing: locality).
 */
import type { Operation } from '../history/operation.js'
import { inWords, keysOf } from '../history/operation.js'
import { search, SEARCH_LIMITS, type SearchLimits, type Verdict } from './search.js'

export interface Partition {
  readonly keys: readonly string[]
  readonly operations: readonly Operation[]
}

export interface Finding extends Partition {
  readonly verdict: Exclude<Verdict, { kind: 'linearizable' }>
}

export interface Checked {
  readonly partitions: number
  readonly operations: number
  /** Violations, and what could not be decided. A run that has any has failed. */
  readonly findings: readonly Finding[]
}

export function check(
  history: readonly Operation[],
  limits: SearchLimits = SEARCH_LIMITS,
): Checked {
  const partitions = partitionsOf(history)
  const findings: Finding[] = []
  for (const partition of partitions) {
    const verdict = search(partition.operations, limits)
    if (verdict.kind !== 'linearizable') findings.push({ ...partition, verdict })
  }
  return { partitions: partitions.length, operations: history.length, findings }
}

export function partitionsOf(history: readonly Operation[]): Partition[] {
  const parents = new Map<string, string>()
  const rootOf = (key: string): string => {
    let root = key
    for (let up = parents.get(root); up !== undefined && up !== root; up = parents.get(root)) {
      root = up
    }
    parents.set(key, root)
    return root
  }
  for (const { action } of history) {
    const [first = '', ...others] = keysOf(action)
    for (const other of others) parents.set(rootOf(other), rootOf(first))
  }
  const found = new Map<string, { keys: Set<string>; operations: Operation[] }>()
  for (const operation of history) {
    const keys = keysOf(operation.action)
    const root = rootOf(keys[0] ?? '')
    const partition = found.get(root) ?? { keys: new Set<string>(), operations: [] }
    found.set(root, partition)
    for (const key of keys) partition.keys.add(key)
    partition.operations.push(operation)
  }
  return [...found.values()].map(({ keys, operations }) => ({ keys: [...keys], operations }))
}

const SHOWN_MAX = 12

/** What a person needs to see of a finding. */
export function explain({ keys, operations, verdict }: Finding): string {
  const where = `${keys.join(', ')} (${operations.length} operations)`
  if (verdict.kind === 'gave-up') return `${where}: ${verdict.why}`
  return [
    `${where}: no order of these operations is that of a single copy. It goes well up to`,
    ...verdict.longest.slice(-SHOWN_MAX).map((operation) => `    ${inWords(operation)}`),
    '  and then none of these can be next:',
    ...verdict.stuck.slice(0, SHOWN_MAX).map((operation) => `    ${inWords(operation)}`),
  ].join('\n')
}
