/**
 * The offline check of one replica: its log with what journals hold of it, its state, and each
 * against the other. It changes nothing.
 */
import { join } from 'node:path'
import { KvError } from '@kv/protocol'
import type { LogFileSystem } from '../log/file-system.js'
import type { LogFrame } from '../log/frame.js'
import { readEntries } from '../sequencer/record.js'
import type { StateMarks } from '../state/state.js'
import { State } from '../state/state.js'
import { cappedFindings, findingOf, type Finding } from './finding.js'
import { Fold } from './fold.js'
import type { JournalContents } from './journal-contents.js'
import { walkLog, type WalkedLog } from './log-walk.js'
import { checkSnapshots } from './snapshots-check.js'
import type { Trace } from './trace.js'

export interface ReplicaCheck {
  readonly files: LogFileSystem
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
  /** The newest epoch that the coordinator has given out for the shard. */
  readonly epoch: number
  /** Whether the copy is of the in-sync set. One that is not may be catching up with a snapshot. */
  readonly isInSync: boolean
  readonly journals: JournalContents
  /** Told what the log holds, to compare it with other copies. */
  readonly trace?: Trace
}

export interface CheckedReplica {
  readonly findings: readonly Finding[]
  readonly segments: number
  readonly revisions: number
  readonly entries: number
  /** Files from which the state could be built anew. */
  readonly snapshots: number
  /** Undefined if it can't be read. */
  readonly log: WalkedLog | undefined
  readonly marks: StateMarks | undefined
}

export async function checkReplica(check: ReplicaCheck): Promise<CheckedReplica> {
  const findings: Finding[] = []
  const statePath = join(check.directory, 'state')
  let state: State
  try {
    state = State.openToRead(statePath, check)
  } catch (error) {
    findings.push(findingOf(error, statePath))
    const log = await checkLog(check, findings, undefined)
    const snapshots = await checkSnapshots(check, log, findings)
    return { findings, ...figuresOf(log), entries: 0, snapshots, log, marks: undefined }
  }
  try {
    const fold = new Fold(state.marks)
    const log = await checkLog(check, findings, fold)
    if (log !== undefined) checkMarks(check, log, state, findings)
    // The state of a copy that catches up with its snapshot is of no one revision.
    const isWhole = log !== undefined && !isCatchingUp(check, log, state)
    const entries = checkState(statePath, state, isWhole ? fold : undefined, findings)
    const snapshots = await checkSnapshots(check, log, findings)
    return {
      findings: cappedFindings(findings, statePath),
      ...figuresOf(log),
      entries,
      snapshots,
      log,
      marks: state.marks,
    }
  } finally {
    await state.close()
  }
}

function figuresOf(log: WalkedLog | undefined): { segments: number; revisions: number } {
  if (log === undefined) return { segments: 0, revisions: 0 }
  return { segments: log.segments, revisions: log.revisions }
}

/** Undefined if it is damaged. */
async function checkLog(
  check: ReplicaCheck,
  findings: Finding[],
  fold: Fold | undefined,
): Promise<WalkedLog | undefined> {
  const { files, clusterId, shard, journals, trace } = check
  const directory = join(check.directory, 'log')
  try {
    const records = await journals.recordsOf(shard, directory)
    const onFrame = (frame: LogFrame, segment: string): void => {
      trace?.onFrame(frame)
      readFrame(frame, segment, { fold, trace, findings })
    }
    return await walkLog({ files, directory, clusterId, shard, records, onFrame })
  } catch (error) {
    findings.push(findingOf(error, directory))
    return undefined
  }
}

interface FrameReaders {
  readonly fold: Fold | undefined
  readonly trace: Trace | undefined
  readonly findings: Finding[]
}

function readFrame(
  { body, count, firstRevision }: LogFrame,
  path: string,
  { fold, trace, findings }: FrameReaders,
): void {
  try {
    readEntries(body, count, firstRevision, (effect, revision) => {
      fold?.take(effect, revision)
      trace?.onEffect(effect.key, revision)
    })
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    findings.push({ path, what: `the frame of revision ${firstRevision}: ${error.message}` })
  }
}

/** Built from a snapshot that was taken while the primary went on, and not in sync since. */
function isCatchingUp({ isInSync }: ReplicaCheck, { last }: WalkedLog, { marks }: State): boolean {
  return !isInSync && last.revision < marks.applyingRevision
}

function checkMarks(check: ReplicaCheck, log: WalkedLog, state: State, findings: Finding[]): void {
  const { directory: path, epoch } = check
  const { last, firstRevision } = log
  const { marks } = state
  if (last.revision < marks.applyingRevision && !isCatchingUp(check, log, state)) {
    const what = `the state holds effects up to revision ${marks.applyingRevision}, the log ends at ${last.revision}`
    findings.push({ path, what })
  }
  if (firstRevision > marks.appliedRevision + 1) {
    const what = `the log begins at revision ${firstRevision}, the state holds all up to ${marks.appliedRevision} only`
    findings.push({ path, what })
  }
  if (last.epoch > epoch) {
    const what = `the log has reached epoch ${last.epoch}, the newest that was given out is ${epoch}`
    findings.push({ path, what })
  }
}

/** Reads every entry; `fold` is what the log says, if it could be read. Returns how many there are. */
function checkState(
  path: string,
  state: State,
  fold: Fold | undefined,
  findings: Finding[],
): number {
  try {
    const { entries, expiring } = checkEntries(path, state, fold, findings)
    for (const key of fold?.keys ?? []) {
      if (state.get(key) === undefined && fold?.allows(key, undefined) === false) {
        findings.push({
          path,
          what: `nothing under ${JSON.stringify(key)}, not ${fold.expected(key)}`,
        })
      }
    }
    checkIndex(path, state, expiring, findings)
    // Each verifies its checksum as it is read.
    for (const _ of state.sessions());
    return entries
  } catch (error) {
    findings.push(findingOf(error, path))
    return 0
  }
}

function checkEntries(
  path: string,
  state: State,
  fold: Fold | undefined,
  findings: Finding[],
): { entries: number; expiring: number } {
  let entries = 0
  let expiring = 0
  for (const { key, held } of state.range('', undefined, false)) {
    entries += 1
    if (held.expiresAt !== 0) expiring += 1
    if (held.version > state.marks.applyingRevision) {
      const what = `${JSON.stringify(key)} has version ${held.version}, the state goes up to ${state.marks.applyingRevision}`
      findings.push({ path, what })
    } else if (fold?.allows(key, held) === false) {
      const what = `${JSON.stringify(key)} has version ${held.version}, the log says ${fold.expected(key)}`
      findings.push({ path, what })
    }
  }
  if (entries !== state.entryCount) {
    findings.push({ path, what: `${entries} entries could be read of ${state.entryCount}` })
  }
  return { entries, expiring }
}

/** Each entry with an expiry has one row in the index, and each row its entry. */
function checkIndex(path: string, state: State, expiring: number, findings: Finding[]): void {
  let rows = 0
  for (const { expiresAt, key } of state.due(Number.MAX_SAFE_INTEGER - 1, undefined)) {
    rows += 1
    if (state.get(key)?.expiresAt === expiresAt) continue
    findings.push({
      path,
      what: `the expiry index names ${JSON.stringify(key)}, which has another expiry`,
    })
  }
  if (rows === expiring) return
  findings.push({ path, what: `the expiry index has ${rows} rows for ${expiring} entries` })
}
