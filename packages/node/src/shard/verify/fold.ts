/**
 * What the log says of each key it tells about, to be compared with the stored state.
 *
 * The state holds everything up to `applied`, and of what comes after, up to `applying`, any part:
 * it was being stored when it ended. So after the last effect up to `applied`, each later one
 * up to `applying` may be what stands there.
 */
import { crc32 } from 'node:zlib'
import type { Held } from '../held.js'
import type { Effect } from '../sequencer/record.js'
import type { StateMarks } from '../state/state.js'

/** What may stand under a key: nothing, or an entry. A field that the log does not tell is absent. */
export interface Outcome {
  readonly isThere: boolean
  readonly version?: number | undefined
  readonly expiresAt?: number | undefined
  /** Length and checksum of the value. */
  readonly value?: string | undefined
}

export class Fold {
  private readonly marks: StateMarks
  /** By key, the oldest first; the first one is that at `applied` if the log tells it. */
  private readonly outcomes = new Map<string, { isComplete: boolean; possible: Outcome[] }>()

  constructor(marks: StateMarks) {
    this.marks = marks
  }

  get keys(): Iterable<string> {
    return this.outcomes.keys()
  }

  /** Takes the effects in the order of their revisions. */
  take(effect: Effect, revision: number): void {
    if (revision > this.marks.applyingRevision) return
    const known = this.outcomes.get(effect.key)
    const next = outcomeOf(effect, known?.possible.at(-1))
    if (revision <= this.marks.appliedRevision || known === undefined) {
      const isComplete = revision <= this.marks.appliedRevision
      this.outcomes.set(effect.key, { isComplete, possible: [next] })
      return
    }
    known.possible.push(next)
  }

  /** Whether this can stand under the key, `undefined` for nothing. */
  allows(key: string, held: Held | undefined): boolean {
    const known = this.outcomes.get(key)
    // What an older part of the log said, which is no longer there.
    if (known === undefined) return true
    const found = held === undefined ? GONE : shown(held)
    if (known.possible.some((outcome) => fits(outcome, found))) return true
    return !known.isComplete && (held === undefined || held.version <= this.marks.appliedRevision)
  }

  /** For people. */
  expected(key: string): string {
    const possible = this.outcomes.get(key)?.possible ?? []
    return possible.map(inWords).join(' or ')
  }
}

const GONE: Outcome = { isThere: false }

function outcomeOf(effect: Effect, before: Outcome | undefined): Outcome {
  switch (effect.type) {
    case 'put':
      return shown(effect.held)
    case 'touch': {
      // What is not there can't be touched: the node takes such an effect for an end, too.
      if (before?.isThere === false) return GONE
      return { ...before, isThere: true, expiresAt: effect.expiresAt }
    }
    case 'delete':
    case 'expire':
      return GONE
  }
}

function shown({ version, expiresAt, memory, start, end }: Held): Outcome {
  const bytes = memory?.bytes.subarray(start, end) ?? new Uint8Array(0)
  return { isThere: true, version, expiresAt, value: `${bytes.length} ${crc32(bytes)}` }
}

function fits(outcome: Outcome, found: Outcome): boolean {
  const isSame = <Field>(expected: Field | undefined, field: Field | undefined): boolean =>
    expected === undefined || expected === field
  if (outcome.isThere !== found.isThere) return false
  return (
    isSame(outcome.version, found.version) &&
    isSame(outcome.expiresAt, found.expiresAt) &&
    isSame(outcome.value, found.value)
  )
}

function inWords({ isThere, version, expiresAt }: Outcome): string {
  if (!isThere) return 'nothing'
  return `version ${version ?? 'unknown'}, expiry ${expiresAt ?? 'unknown'}`
}
