/**
 * What an atomic batch does: checks first, all against the state before it; then its operations in
 * order, each on what those before it made. One thing that fails, and nothing is done.
 *
 * The operations are judged like the calls of the same names, on a view of the state that holds the
 * batch's own effects. What is logged is the last effect on each key, so that a key changes once in
 * a revision. Pure but for the state it looks at.
 */
import type { AtomicCall, AtomicCheck, AtomicOperation } from '@kv/protocol'
import { PAGE_BYTES_SOFT, WireWriter } from '@kv/protocol'
import type { Answer } from '../answer.js'
import { encoded, fault, writeAnswer, writeEntry } from '../answer.js'
import type { Held } from '../held.js'
import { tombstone, visibleAt } from '../held.js'
import type { Decided, NewestState, Verdict } from './judge.js'
import { judge } from './judge.js'
import { RESULT_KINDS } from './record.js'

/** Values that `touch` copies in one batch: as much as a frame may hold. */
const TOUCHED_BYTES_MAX = 4_194_304

export interface AtomicState extends NewestState {
  /** Revision of the newest entry. */
  readonly newestRevision: number
}

export function judgeAtomic(call: AtomicCall, state: AtomicState, nowMs: number): Verdict {
  const failed = failedChecks(call.operations, state, nowMs)
  if (failed !== undefined) return { accepted: false, answer: failed }
  const view = new BatchView(state, nowMs)
  const results: ((revision: number) => Answer)[] = []
  for (const operation of call.operations) {
    const result = operation.type === 'check' ? noResult : view.take(operation)
    if (result instanceof Uint8Array) return { accepted: false, answer: result }
    results.push(result)
  }
  const effects = view.decided()
  // Nothing to log: it held, and did what it asked for, at the newest revision there is.
  if (effects.length === 0) {
    return { accepted: false, answer: success(state.newestRevision, results) }
  }
  return {
    accepted: true,
    effects,
    resultKind: RESULT_KINDS.stored,
    answer: (revision) => success(revision, results),
  }
}

function noResult(): null {
  return null
}

/** `[version, [result, …]]`. */
function success(revision: number, results: readonly ((revision: number) => Answer)[]): Uint8Array {
  return encoded((writer) => {
    writer.array(2)
    writer.integer(revision)
    writer.array(results.length)
    for (const result of results) writeAnswer(writer, result(revision))
  })
}

/**
 * `[0, [position, entry or nil, …]]`, each key once; `undefined` if all checks hold. An entry that
 * would make the reply too large is `false`: the client asks for it.
 */
function failedChecks(
  operations: readonly AtomicOperation[],
  state: NewestState,
  nowMs: number,
): Uint8Array | undefined {
  let pairs: WireWriter | undefined
  const failed = new Set<string>()
  for (const [position, operation] of operations.entries()) {
    if (operation.type !== 'check' || failed.has(operation.key)) continue
    const current = visibleAt(state.newest(operation.key), nowMs)
    if (holds(operation, current)) continue
    pairs ??= new WireWriter()
    failed.add(operation.key)
    pairs.integer(position)
    const bytes = current === undefined ? 0 : current.end - current.start
    const isFirst = failed.size === 1
    if (isFirst || pairs.position + bytes <= PAGE_BYTES_SOFT) writeEntry(pairs, current)
    else pairs.boolean(false)
  }
  if (pairs === undefined) return undefined
  const { bytes, position } = pairs
  return encoded((writer) => {
    writer.array(2)
    writer.integer(0)
    writer.array(2 * failed.size)
    writer.raw(bytes, 0, position)
  })
}

function holds({ version }: AtomicCheck, current: Held | undefined): boolean {
  return (current?.version ?? null) === version
}

/** The state as the next operation of the batch finds it. */
class BatchView implements NewestState {
  /** The last effect on each key. */
  readonly effects = new Map<string, Decided>()
  /** Keys whose entry before the batch was over its time. */
  private readonly ended = new Set<string>()
  private readonly state: NewestState
  private readonly nowMs: number
  private touchedBytes = 0

  constructor(state: NewestState, nowMs: number) {
    this.state = state
    this.nowMs = nowMs
  }

  newest(key: string): Held | undefined {
    const effect = this.effects.get(key)
    return effect === undefined ? this.state.newest(key) : heldOf(effect)
  }

  isEnded(key: string, nowMs: number): boolean {
    return !this.effects.has(key) && this.state.isEnded(key, nowMs)
  }

  firstKeys(range: Parameters<NewestState['firstKeys']>[0]): ReturnType<NewestState['firstKeys']> {
    return this.state.firstKeys(range)
  }

  /** Carries an operation out. Returns its result, or the fault that refuses the whole batch. */
  take(
    operation: Exclude<AtomicOperation, AtomicCheck>,
  ): Uint8Array | ((revision: number) => Answer) {
    const verdict = judge(operation, this, this.nowMs)
    if (!verdict.accepted) {
      const { answer } = verdict
      return answer instanceof Uint8Array ? answer : () => answer
    }
    for (const effect of verdict.effects) this.add(effect)
    if (this.touchedBytes > TOUCHED_BYTES_MAX) return tooMuchTouched()
    return operation.type === 'set' ? noResult : verdict.answer
  }

  /** What is to be logged; where a key's time was over, its end comes first. */
  decided(): Decided[] {
    return Array.from(this.effects.values()).flatMap((effect) =>
      this.ended.has(effect.key) ? [{ type: 'expire', key: effect.key }, effect] : [effect],
    )
  }

  private add(effect: Decided): void {
    const { key } = effect
    if (effect.type === 'expire') {
      this.ended.add(key)
    } else if (effect.type === 'touch') {
      this.touchedBytes += effect.held.end - effect.held.start
      this.effects.set(key, this.isWritten(key) ? putOf(effect) : effect)
    } else if (effect.type === 'put' || visibleAt(this.state.newest(key), this.nowMs)) {
      this.effects.set(key, effect)
    } else {
      // What the batch itself had written is gone again.
      this.effects.delete(key)
    }
  }

  private isWritten(key: string): boolean {
    return this.effects.get(key)?.type === 'put'
  }
}

/** An entry written and touched in the same batch is written with the expiry it got last. */
function putOf({ key, held }: Extract<Decided, { type: 'touch' }>): Decided {
  const { memory, start, end, expiresAt } = held
  return { type: 'put', key, source: memory.bytes, start, end, expiresAt }
}

/** What the effect leaves. Its version is not known yet, and nothing in a batch asks for it. */
function heldOf(effect: Decided): Held {
  switch (effect.type) {
    case 'put': {
      const { source, start, end, expiresAt } = effect
      return { version: 0, expiresAt, memory: { bytes: source }, start, end }
    }
    case 'touch':
      return effect.held
    case 'delete':
    case 'expire':
      return tombstone(0)
  }
}

function tooMuchTouched(): Uint8Array {
  return fault(
    'BATCH_TOO_LARGE',
    `the values whose expiry changes have more than ${TOUCHED_BYTES_MAX} bytes together: ` +
      'touch fewer of them in one atomic batch',
  )
}
