/**
 * Histories that are linearizable because they were made by a single copy: each operation takes
 * effect at one moment between its call and its return.
 */
import type { SeededRandom } from '../../load/seeded-random.js'
import type { Action, Answer, Found, Operation, Value } from '../history/operation.js'

interface Copy {
  value: Value | undefined
  version: number
  lastVersion: number
}

export interface RandomHistoryOptions {
  readonly operations: number
  readonly clients: number
  /** Of a hundred operations, how many nobody hears of again; half of them never happen. */
  readonly lostPercent: number
}

const KEY = 'k'

export function randomHistory(random: SeededRandom, options: RandomHistoryOptions): Operation[] {
  const copy: Copy = { value: undefined, version: 0, lastVersion: 0 }
  const history: Operation[] = []
  // Each client has one call at a time, so its next begins after its last has returned.
  const freeAt = Array.from({ length: options.clients }, () => 0)
  for (let number = 1; number <= options.operations; number += 1) {
    // The moments of effect are the whole numbers, in order.
    const client = pickFree(random, freeAt, number)
    const invokedAt = Math.max(freeAt[client] ?? 0, number - random.below(300) / 100)
    const action = randomAction(random, copy, number)
    const isLost = action.type !== 'read' && random.below(100) < options.lostPercent
    const happens = !isLost || random.below(2) === 0
    const answer = happens ? perform(copy, action, random) : undefined
    const returnedAt = isLost ? Infinity : number + (1 + random.below(300)) / 100
    history.push({ client, action, invokedAt, returnedAt, answer: isLost ? undefined : answer })
    // Whoever lost a call goes on with others.
    freeAt[client] = isLost ? number : returnedAt
  }
  return history
}

function pickFree(random: SeededRandom, freeAt: number[], at: number): number {
  const free = [...freeAt.keys()].filter((client) => (freeAt[client] ?? 0) < at)
  if (free.length > 0) return random.pick(free)
  freeAt.push(0)
  return freeAt.length - 1
}

function randomAction(random: SeededRandom, copy: Copy, number: number): Action {
  const version = random.below(4) === 0 ? random.below(copy.lastVersion + 2) : copy.version
  const choice = random.below(10)
  if (choice < 4) return { type: 'read', key: KEY }
  if (choice < 6) return { type: 'set', key: KEY, value: number * 1_000 }
  if (choice === 6)
    return { type: 'set', key: KEY, value: number * 1_000, ifVersion: version || null }
  if (choice === 7) return { type: 'increment', key: KEY, by: 1 + random.below(3) }
  if (choice === 8) return { type: 'delete', key: KEY }
  return { type: 'delete', key: KEY, ifVersion: version || 1 }
}

function perform(copy: Copy, action: Action, random: SeededRandom): Answer {
  const current: Found | undefined =
    copy.value === undefined ? undefined : { value: copy.value, version: copy.version }
  switch (action.type) {
    case 'read':
      return { type: 'read', found: random.below(2) === 0 ? current : withoutVersion(current) }
    case 'set':
    case 'delete': {
      const { ifVersion } = action
      const holds = ifVersion === undefined || (current?.version ?? null) === ifVersion
      if (!holds) return { type: 'refused', conflicts: [{ key: KEY, current }] }
      if (action.type === 'set') return put(copy, action.value, random)
      if (current !== undefined) put(copy, undefined, random)
      return { type: 'deleted', existed: current !== undefined }
    }
    case 'increment':
      return put(copy, Number(copy.value ?? 0) + action.by, random)
    case 'atomic':
    case 'expire':
      throw new Error(`no ${action.type} is made at random`)
  }
}

function put(copy: Copy, value: Value | undefined, random: SeededRandom): Answer {
  // Other keys of the shard take revisions, too.
  copy.lastVersion += 1 + random.below(3)
  copy.version = value === undefined ? 0 : copy.lastVersion
  copy.value = value
  const version = copy.lastVersion
  return typeof value === 'number'
    ? { type: 'written', version, value }
    : { type: 'written', version }
}

function withoutVersion(current: Found | undefined): Found | undefined {
  return current === undefined ? undefined : { value: current.value }
}
