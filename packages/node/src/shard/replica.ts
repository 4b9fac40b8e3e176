/**
 * Opening a replica's directory: state and log brought together.
 *
 * The state holds a fold of the log up to its `applied` mark; the frames after that are replayed
 * into the overlay. Nothing is evaluated and nothing is served before all of it is there.
 */
import { access, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { KvError } from '@kv/protocol'
import type { Held } from './held.js'
import { copyValue, tombstone } from './held.js'
import { LogDamage, LogRefused } from './log/errors.js'
import type { LogFileSystem } from './log/file-system.js'
import { nodeFileSystem } from './log/file-system.js'
import type { LogFrame } from './log/frame.js'
import { lastRevisionOf } from './log/frame.js'
import { Log } from './log/log.js'
import type { JournalMember } from './journal/journal-member.js'
import type { Journals } from './journal/journals.js'
import { Overlay } from './overlay/overlay.js'
import type { Effect, ReadEntry } from './sequencer/record.js'
import { readEntries } from './sequencer/record.js'
import { recordedAnswer } from './sessions/recorded-answer.js'
import { SessionTable } from './sessions/session-table.js'
import { State } from './state/state.js'
import { StateDamage, stateDamageIn } from './state/stored-entry.js'

export interface Replica {
  readonly log: Log
  readonly state: State
  readonly overlay: Overlay
  readonly sessions: SessionTable
  /** Time of the last frame, in epoch milliseconds. */
  readonly lastTimeMs: number
}

export interface ReplicaOptions {
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
  /** The replica is new; whatever an unfinished creation left is removed. */
  readonly create: boolean
  /** Called when the log has room again after it had none. */
  readonly onRoom?: () => void
  readonly fileSystem?: LogFileSystem
  /** Where frames become durable before they are in the log's segments. */
  readonly journals?: Journals
}

/** Opens or creates a replica. Rejects with what `isDamage` tells apart. */
export async function openReplica(options: ReplicaOptions): Promise<Replica> {
  const { directory, clusterId, shard, journals } = options
  const logDirectory = join(directory, 'log')
  await prepareDirectory(options)
  const logOptions = {
    directory: logDirectory,
    clusterId,
    shard,
    ...(options.onRoom === undefined ? {} : { onRoom: options.onRoom }),
    ...(options.fileSystem === undefined ? {} : { fileSystem: options.fileSystem }),
  }
  if (options.create) await (await Log.create(logOptions)).close()
  else await journals?.restore(shard, logDirectory)
  const journal = await journals?.memberFor(shard, logDirectory)
  const state = openState(join(directory, 'state'), { clusterId, shard })
  const overlay = new Overlay()
  const sessions = new SessionTable()
  let lastTimeMs = state.marks.timeMs
  try {
    sessions.load(state.marks.sessionFloor, state.sessions())
    const log = await Log.open({
      ...logOptions,
      ...(journal === undefined ? {} : { journal }),
      replayAfter: state.marks.appliedRevision,
      onFrame: (frame) => {
        replay(frame, { overlay, state, sessions })
        lastTimeMs = Math.max(lastTimeMs, frame.timeMs)
      },
    })
    if (log.lastRevision < state.marks.applyingRevision) {
      await log.close()
      throw new StateDamage(
        `the state holds effects up to revision ${state.marks.applyingRevision}, ` +
          `the log ends at ${log.lastRevision}`,
      )
    }
    await bind(journal, log)
    return { log, state, overlay, sessions, lastTimeMs }
  } catch (error) {
    await state.close()
    throw error
  }
}

async function bind(journal: JournalMember | undefined, log: Log): Promise<void> {
  try {
    await journal?.bind(log)
  } catch (error) {
    await log.close()
    throw error
  }
}

export async function closeReplica({ log, state }: Replica): Promise<void> {
  await Promise.allSettled([log.close(), state.close()])
}

/**
 * Makes the directory of a new replica. Where one is expected, an absent or empty directory is
 * damage: beginning anew there would hide the loss.
 */
async function prepareDirectory({ directory, create }: ReplicaOptions): Promise<void> {
  if (create) {
    await rm(directory, { recursive: true, force: true })
    await makeDurably(directory)
    return
  }
  for (const part of ['log', 'state/data.mdb']) {
    try {
      await access(join(directory, part))
    } catch (cause) {
      throw new StateDamage(`${directory} holds no ${part}, though a replica is expected there`, {
        cause,
      })
    }
  }
}

/** Makes a directory and what is missing above it, so that a power cut leaves all of it. */
async function makeDurably(directory: string): Promise<void> {
  const topmost = await mkdir(directory, { recursive: true })
  if (topmost === undefined) return
  let path = directory
  do {
    path = dirname(path)
    await nodeFileSystem.syncDirectory(path)
  } while (path !== dirname(topmost))
}

/** Whether opening it again can't help: what is stored is damaged or not this replica's. */
export function isDamage(error: unknown): boolean {
  return error instanceof LogDamage || error instanceof LogRefused || error instanceof StateDamage
}

function openState(directory: string, identity: { clusterId: string; shard: number }): State {
  try {
    return State.open(directory, identity)
  } catch (error) {
    throw stateDamageIn(error) ?? error
  }
}

type Fold = Pick<Replica, 'overlay' | 'state' | 'sessions'>

function replay(frame: LogFrame, { overlay, state, sessions }: Fold): void {
  let copiedBytes = 0
  const effects: Effect[] = []
  const onEntry = (entry: ReadEntry): void => {
    foldSession(entry, effects, sessions)
    effects.length = 0
  }
  // The frame is a view of a whole segment, which must not live on because of a few entries.
  const body = Buffer.from(frame.body)
  try {
    readEntries(
      body,
      frame.count,
      frame.firstRevision,
      (effect) => {
        const held = heldOf(effect, overlay, state)
        const isCopy = effect.type === 'touch' && overlay.get(effect.key) === undefined
        if (isCopy) copiedBytes += held.end - held.start
        overlay.put(effect.key, held)
        effects.push(effect)
      },
      onEntry,
    )
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    // The frame's checksum held, so this was written so: not a torn tail.
    throw new StateDamage(`revision ${frame.firstRevision} of the log: ${error.message}`, {
      cause: error,
    })
  }
  overlay.committed(lastRevisionOf(frame), frame.body.length + copiedBytes)
}

function foldSession(entry: ReadEntry, effects: readonly Effect[], sessions: SessionTable): void {
  const { clientId, sequence, revision, evicted } = entry
  if (evicted.length > 0) sessions.evict(evicted, revision)
  if (clientId === 0 || sequence === 0) return
  sessions.add(entry, { revision, answer: recordedAnswer(entry, effects) }, 0)
}

function heldOf(effect: Effect, overlay: Overlay, state: State): Held {
  if (effect.type !== 'touch') return effect.held
  const overlaid = overlay.get(effect.key)
  const current = overlaid ?? state.get(effect.key)
  if (current?.memory === undefined) return tombstone(0)
  if (overlaid !== undefined) return { ...overlaid, expiresAt: effect.expiresAt }
  const bytes = copyValue({ ...current, memory: current.memory })
  const { version } = current
  return { version, expiresAt: effect.expiresAt, memory: { bytes }, start: 0, end: bytes.length }
}
