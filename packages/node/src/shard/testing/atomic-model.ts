/** What an atomic batch is to its clients: said with the model of a shard, operation by operation. */
import type { AtomicOperation, Call } from '@kv/protocol'
import { atomicCall, WireReader } from '@kv/protocol'
import type { Answer } from '../answer.js'
import type { EntryAnswer } from './calls.js'
import type { AtomicPart, Expected } from './shard-model.js'

/** The part of the model that batches need: a state that can be tried out. */
export interface AtomicTrial {
  readonly revision: number
  versionOf(key: string): number | null
  shown(key: string): EntryAnswer | undefined
  /** Carries one operation out as if nothing else were in the batch. */
  try(part: Exclude<AtomicPart, { kind: 'check' }>): Expected
  /** Keys that the batch removes, or made and removed again. */
  isAbsent(key: string): boolean
}

/** Carries the batch out on `trial`, beside `before`. Says whether `trial` holds from now on. */
export function takeAtomic(
  parts: readonly AtomicPart[],
  before: AtomicTrial,
  trial: AtomicTrial,
): Expected {
  const operations: AtomicOperation[] = []
  const results: unknown[] = []
  const conflicts = new Map<string, unknown>()
  const changed = new Set<string>()
  let fault: string | undefined
  for (const [position, part] of parts.entries()) {
    const { key } = part
    if (part.kind === 'check') {
      const current = before.versionOf(key)
      const version = part.holds ? current : (current ?? 0) + 1
      operations.push({ type: 'check', key, version })
      results.push(null)
      if (!part.holds && !conflicts.has(key)) conflicts.set(key, [position, before.shown(key)])
      continue
    }
    const { call, answer, isLogged } = trial.try(part)
    operations.push(call as AtomicOperation)
    if (typeof answer === 'string') fault ??= answer
    if (isLogged) changed.add(key)
    results.push(part.kind === 'set' ? null : answer)
  }
  const call = atomicCall(operations)
  if (conflicts.size > 0) {
    return { call, answer: { conflicts: [...conflicts.values()] }, isLogged: false }
  }
  if (fault !== undefined) return { call, answer: fault, isLogged: false }
  const isLogged = [...changed].some(
    (key) => before.versionOf(key) !== null || !trial.isAbsent(key),
  )
  const version = isLogged ? before.revision + 1 : before.revision
  const withVersion = (result: unknown): unknown =>
    Array.isArray(result) ? [result[0], version, result[2]] : result
  return { call, answer: { version, results: results.map(withVersion) }, isLogged }
}

/** The shard's answer to a batch in the form in which the model says it. */
export function readAtomicAnswer(
  call: Extract<Call, { type: 'atomic' }>,
  answer: Answer,
  readEntry: (reader: WireReader) => unknown,
): unknown {
  const reader = new WireReader(answer as Uint8Array)
  reader.tuple(2)
  const version = reader.unsigned()
  if (version === 0) {
    const count = reader.array(2_000) / 2
    const conflicts = Array.from({ length: count }, () => [reader.unsigned(), readEntry(reader)])
    reader.finish()
    return { conflicts }
  }
  reader.tuple(call.operations.length)
  const results = call.operations.map(({ type }) => {
    if (type === 'check' || type === 'set') return reader.skipNil() ? null : 'nil is due'
    if (type !== 'increment') return reader.boolean()
    reader.tuple(3)
    return [reader.number(), reader.unsigned(), reader.unsigned()]
  })
  reader.finish()
  return { version, results }
}
