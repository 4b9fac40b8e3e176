/**
 * The offline check of the copies of a shard against each other (P1, P2). It changes nothing.
 *
 * Only what is committed is applied. So what any copy has applied must be in every copy in sync, and
 * copies that have applied a revision must have the same one. What is beyond may differ: a primary
 * that ended may leave frames that nobody else has, and they are cut when it follows the next one.
 *
 * Of a node with `fsync: 'everysec'` a copy may lack what another has applied, after a power cut and
 * until it is rebuilt: only those are compared that are in sync and were closed cleanly.
 */
import { compareKeys } from '@kv/protocol'
import type { LiveHeld } from '../held.js'
import type { LogPosition } from '../log/position.js'
import { isSamePosition } from '../log/position.js'
import type { StateMarks } from '../state/state.js'
import { State } from '../state/state.js'
import { cappedFindings, findingOf, type Finding } from './finding.js'
import type { WalkedLog } from './log-walk.js'
import type { Trace } from './trace.js'

export interface CheckedCopy {
  readonly copy: number
  readonly directory: string
  readonly statePath: string
  /** Whether it is of the in-sync set: it holds everything acknowledged. */
  readonly isInSync: boolean
  /** Undefined if it could not be read: that is a finding already. */
  readonly log: WalkedLog | undefined
  readonly marks: StateMarks | undefined
  readonly trace: Trace
}

export interface CopiesIdentity {
  readonly clusterId: string
  readonly shard: number
  /** The node has run with `fsync: 'everysec'`. */
  readonly mayLack?: boolean
}

/** A copy whose log can be compared. */
type Readable = CheckedCopy & { readonly log: WalkedLog; readonly marks: StateMarks }

export async function compareCopies(
  copies: readonly CheckedCopy[],
  identity: CopiesIdentity,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const readable = copies.filter((copy): copy is Readable => {
    if (copy.log === undefined || copy.marks === undefined) return false
    return identity.mayLack !== true || (copy.isInSync && copy.log.isClosed)
  })
  checkMembers(readable, findings)
  for (const [index, left] of readable.entries()) {
    for (const right of readable.slice(index + 1)) {
      const divergedAt = divergence(left, right)
      if (divergedAt !== undefined && isWrong(divergedAt, left, right)) {
        findings.push({ path: right.directory, what: divergedWords(divergedAt, left, right) })
      } else await compareStates(left, right, { identity, divergedAt, findings })
    }
  }
  return findings
}

/** Each copy in sync has what any copy has applied. */
function checkMembers(copies: readonly Readable[], findings: Finding[]): void {
  const ahead = copies.toSorted((a, b) => b.marks.applyingRevision - a.marks.applyingRevision)[0]
  if (ahead === undefined) return
  for (const { isInSync, log, directory } of copies) {
    if (!isInSync || log.last.revision >= ahead.marks.applyingRevision) continue
    const what =
      `it is in sync, but its log ends at revision ${log.last.revision}: ` +
      `copy ${ahead.copy} has applied revisions up to ${ahead.marks.applyingRevision}`
    findings.push({ path: directory, what })
  }
}

/** The first revision, of those that both logs still have, at which their frames differ. */
function divergence(left: Readable, right: Readable): number | undefined {
  const from = Math.max(left.log.firstRevision, right.log.firstRevision)
  let inLeft = indexOf(left.trace.frames, from)
  let inRight = indexOf(right.trace.frames, from)
  for (;;) {
    const one = left.trace.frames[inLeft]
    const other = right.trace.frames[inRight]
    if (one === undefined || other === undefined) return undefined
    if (!isSamePosition(one, other)) return Math.min(one.revision, other.revision)
    inLeft += 1
    inRight += 1
  }
}

/** Of the first frame that ends at `revision` or later. */
function indexOf(frames: readonly LogPosition[], revision: number): number {
  let low = 0
  let high = frames.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (frames[middle]!.revision < revision) low = middle + 1
    else high = middle
  }
  return low
}

function isWrong(revision: number, left: Readable, right: Readable): boolean {
  const [inLeft, inRight] = [left, right].map((copy) => revision <= copy.marks.applyingRevision)
  return (
    (inLeft === true && (inRight === true || right.isInSync)) || (inRight === true && left.isInSync)
  )
}

function divergedWords(revision: number, left: Readable, right: Readable): string {
  const which = [left, right]
    .filter(({ marks }) => revision <= marks.applyingRevision)
    .map(({ copy }) => `copy ${copy}`)
  return (
    `from revision ${revision} on its log is another than that of copy ${left.copy}, ` +
    `and ${which.join(' and ')} ${which.length === 1 ? 'has' : 'have'} applied it`
  )
}

interface Comparison {
  readonly identity: CopiesIdentity
  readonly divergedAt: number | undefined
  readonly findings: Finding[]
}

/**
 * What neither log changes after the revision that both states have is the same in both. Nothing can
 * be said if the log in between is gone.
 */
async function compareStates(
  left: Readable,
  right: Readable,
  { identity, divergedAt = Infinity, findings }: Comparison,
): Promise<void> {
  const both = Math.min(left.marks.appliedRevision, right.marks.appliedRevision)
  const newest = Math.max(left.marks.applyingRevision, right.marks.applyingRevision)
  const between = [left, right].find(({ log }) => {
    const end = Math.min(log.last.revision, divergedAt - 1)
    return log.firstRevision <= both + 1 && end >= newest
  })
  if (between === undefined && newest > both) return
  const isOpen = (key: string): boolean => (between?.trace.changed.get(key) ?? 0) > both
  const states: State[] = []
  const found: Finding[] = []
  try {
    for (const { statePath } of [left, right]) states.push(State.openToRead(statePath, identity))
    const [one, other] = states as [State, State]
    for (const key of differing(one, other)) {
      if (isOpen(key)) continue
      const what = `${JSON.stringify(key)} is not what it is in copy ${left.copy}, at revision ${both}`
      found.push({ path: right.statePath, what })
    }
  } catch (error) {
    // What can't be read was found by the check of that copy.
    if (found.length === 0 && states.length < 2) found.push(findingOf(error, right.statePath))
  } finally {
    for (const state of states) await state.close()
  }
  findings.push(...cappedFindings(found, right.statePath))
}

/** Keys that are in one of two states only, or have another entry in each. */
function* differing(left: State, right: State): Generator<string> {
  const ones = left.range('', undefined, false)
  const others = right.range('', undefined, false)
  let one = ones.next()
  let other = others.next()
  try {
    while (one.done !== true || other.done !== true) {
      const order = compareEntries(one, other)
      if (order === 0 && !isSameHeld(one.value!.held, other.value!.held)) yield one.value!.key
      if (order < 0) yield one.value!.key
      if (order > 0) yield other.value!.key
      if (order <= 0) one = ones.next()
      if (order >= 0) other = others.next()
    }
  } finally {
    ones.return(undefined)
    others.return(undefined)
  }
}

type Next = IteratorResult<{ readonly key: string }, unknown>

function compareEntries(one: Next, other: Next): number {
  if (one.done === true) return 1
  if (other.done === true) return -1
  return compareKeys(one.value.key, other.value.key)
}

function isSameHeld(one: LiveHeld, other: LiveHeld): boolean {
  if (one.version !== other.version || one.expiresAt !== other.expiresAt) return false
  const bytes = other.memory.bytes.subarray(other.start, other.end)
  return Buffer.compare(one.memory.bytes.subarray(one.start, one.end), bytes) === 0
}
