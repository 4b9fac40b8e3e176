/**
 * Opening a replica's directory: state and log brought together.
 *
 * The state holds a fold of the log up to its `applied` mark; the frames after that are replayed
 * into the overlay. Nothing is evaluated and nothing is served before all of it is there.
 */
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDurably } from './durable-directory.js'
import { LogDamage, LogRefused } from './log/errors.js'
import type { LogFileSystem } from './log/file-system.js'
import type { LogFrame } from './log/frame.js'
import { lastRevisionOf } from './log/frame.js'
import type { JournaledFrame } from './log/frame-journal.js'
import { Log } from './log/log.js'
import type { JournalSource } from './journal/journals.js'
import type { OpeningTurns } from './opening-turns.js'
import { Overlay } from './overlay/overlay.js'
import { ownFrame, replayFrame } from './replay.js'
import { logOptionsOf, openLog } from './replica-log.js'
import { SessionTable } from './sessions/session-table.js'
import { tidyAfterRebuild } from './snapshot/snapshot-build.js'
import { notedStateDamage, rebuildState, type RebuiltState } from './state-rebuild.js'
import { State } from './state/state.js'
import type { ReadCache } from './state/read-cache.js'
import { StateDamage, stateDamageIn } from './state/stored-entry.js'

export interface Replica {
  readonly log: Log
  readonly state: State
  readonly overlay: Overlay
  readonly sessions: SessionTable
  /** Time of the last frame that is in memory or in the state, in epoch milliseconds. */
  readonly lastTimeMs: number
  /** Ends with the work on the state that was under way when the replica was handed over. */
  readonly applying?: Promise<void>
}

export interface ReplicaOptions {
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
  /** The replica is new; whatever an unfinished creation left is removed. */
  readonly create: boolean
  /** It was built from a snapshot a moment ago: its log may not have come to the snapshot's end yet. */
  readonly isCatchingUp?: boolean
  /** Called when the log has room again after it had none. */
  readonly onRoom?: () => void
  /** Called when the state was damaged and has been built anew from a snapshot. */
  readonly onRebuilt?: (rebuilt: RebuiltState) => void
  readonly fileSystem?: LogFileSystem
  /** Where frames become durable before they are in the log's segments. */
  readonly journals?: JournalSource
  /** Whose turn it is, where many are opened. */
  readonly openings?: OpeningTurns
  /** Where entries stay that were read from the state; the same for all replicas of a process. */
  readonly readCache?: ReadCache
}

/** The log lacks what the state may hold: to build the state anew from the log would hide that. */
class LogIncomplete extends StateDamage {}

/**
 * Opens or creates a replica, with all of its log in memory or in the state: for who becomes primary,
 * or looks at it alone. A state that is damaged or missing is built anew first, if there is a snapshot
 * that helps. Rejects with what `isDamage` tells apart.
 */
export async function openReplica(options: ReplicaOptions): Promise<Replica> {
  try {
    return await open(options, () => true)
  } catch (error) {
    const damage = stateDamageIn(error)
    if (damage === undefined || damage instanceof LogIncomplete || options.create) throw error
    const rebuilt = await rebuildState(options, damage)
    if (rebuilt === undefined) throw error
    options.onRebuilt?.(rebuilt)
    return open(options, () => true)
  }
}

/**
 * The same for who follows a primary: frames that are not known to be committed are handed to
 * `onTail`, in order, instead.
 */
export function openBackupReplica(
  options: ReplicaOptions,
  onTail: (frame: LogFrame) => void,
): Promise<Replica> {
  return open(options, (frame, state) => {
    // Only what is committed was ever applied, or was about to be.
    if (lastRevisionOf(frame) <= state.marks.applyingRevision) return true
    onTail(frame)
    return false
  })
}

async function open(
  options: ReplicaOptions,
  isCommitted: (frame: LogFrame, state: State) => boolean,
): Promise<Replica> {
  const { shard, journals } = options
  await prepareDirectory(options)
  const logOptions = logOptionsOf(options)
  if (options.create) await (await Log.create(logOptions)).close()
  // Those that come together read the journal of a dead child once.
  const journaled = await journals?.framesOf(shard, logOptions.directory)
  const end = await options.openings?.begin()
  try {
    return await openParts(options, journaled, isCommitted)
  } finally {
    end?.()
  }
}

async function openParts(
  options: ReplicaOptions,
  journaled: readonly JournaledFrame[] | undefined,
  isCommitted: (frame: LogFrame, state: State) => boolean,
): Promise<Replica> {
  const state = openState(options)
  const memory = { state, overlay: new Overlay(), sessions: new SessionTable() }
  let lastTimeMs = state.marks.timeMs
  try {
    memory.sessions.load(state.marks.sessionFloor, state.sessions())
    const log = await openLog(options, {
      replayAfter: state.marks.appliedRevision,
      ...(journaled === undefined ? {} : { journaled }),
      onFrame: (read) => {
        const frame = ownFrame(read)
        if (!isCommitted(frame, state)) return
        replayFrame(frame, memory)
        lastTimeMs = Math.max(lastTimeMs, frame.timeMs)
      },
    })
    if (log.lastRevision < state.marks.applyingRevision && options.isCatchingUp !== true) {
      await log.close()
      throw new LogIncomplete(
        `the state holds effects up to revision ${state.marks.applyingRevision}, ` +
          `the log ends at ${log.lastRevision}`,
      )
    }
    return { ...memory, log, lastTimeMs }
  } catch (error) {
    await state.close()
    throw error
  }
}

export async function closeReplica({ log, state, applying }: Replica): Promise<void> {
  await applying?.catch(() => undefined)
  await Promise.allSettled([log.close(), state.close()])
}

/**
 * Makes the directory of a new replica. Where one is expected, an absent or empty directory is
 * damage: beginning anew there would hide the loss.
 */
async function prepareDirectory({ directory, create }: ReplicaOptions): Promise<void> {
  await tidyAfterRebuild(directory)
  if (create) {
    await rm(directory, { recursive: true, force: true })
    await makeDurably(directory)
    return
  }
  for (const part of ['log', 'state/data.mdb']) {
    try {
      await access(join(directory, part))
    } catch (cause) {
      const Damage = part === 'log' ? LogIncomplete : StateDamage
      throw new Damage(`${directory} holds no ${part}, though a replica is expected there`, {
        cause,
      })
    }
  }
  const noted = await notedStateDamage(directory)
  if (noted !== undefined) throw noted
}

/** Whether opening it again can't help: what is stored is damaged or not this replica's. */
export function isDamage(error: unknown): boolean {
  return error instanceof LogDamage || error instanceof LogRefused || error instanceof StateDamage
}

function openState(options: ReplicaOptions): State {
  const { directory, clusterId, shard, fileSystem, readCache } = options
  try {
    return State.open(join(directory, 'state'), { clusterId, shard }, fileSystem, readCache)
  } catch (error) {
    throw stateDamageIn(error) ?? error
  }
}
