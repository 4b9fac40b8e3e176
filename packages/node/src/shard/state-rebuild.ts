/**
 * A damaged state is built anew where it is: from the copy's own snapshot and its log, if both are sound
 * and the log reaches back to where the snapshot begins. Nothing that was acknowledged is lost by it.
 *
 *   <copy>/state              what is damaged, or missing
 *   <copy>/state-building     what comes; it takes that place when all of the log is in it
 *   <copy>/state.damaged-<n>  what was there, for whoever wants to look at it
 *   <copy>/state.damage       says that the state is damaged though it may open: found while it was served
 */
import { access, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { moveAside } from './aside.js'
import { LogDamage, LogRefused } from './log/errors.js'
import { hasCode, nodeFileSystem } from './log/file-system.js'
import { Log } from './log/log.js'
import { isSamePosition } from './log/position.js'
import { writeWhole } from './log/whole-io.js'
import { Overlay } from './overlay/overlay.js'
import { ownFrame, replayFrame } from './replay.js'
import { logOptionsOf } from './replica-log.js'
import type { ReplicaOptions } from './replica.js'
import { SessionTable } from './sessions/session-table.js'
import { SnapshotDamage } from './snapshot/page.js'
import type { SnapshotEnd } from './snapshot/parts.js'
import { snapshotFiles } from './snapshot/snapshot-directory.js'
import { SnapshotFileReader } from './snapshot/snapshot-file.js'
import { StateBuild } from './snapshot/state-build.js'
import { applyOverlay } from './state/applier.js'
import { State } from './state/state.js'
import { StateDamage, stateDamageIn } from './state/stored-entry.js'

/** Memory that the log takes on its way into the new state. */
const FOLD_BYTES = 16 * 1_048_576

/** A state was built anew, and nothing was lost. */
export interface RebuiltState {
  /** What was wrong with the one before. */
  readonly damage: string
  /** Where that is now; `undefined` if there was none. */
  readonly aside: string | undefined
  readonly snapshot: string
  /** The snapshot's start, and where the log ended that came after it. */
  readonly startRevision: number
  readonly lastRevision: number
}

/**
 * Puts a state built from a snapshot and the log in the place of the damaged one. `undefined` if there is
 * no snapshot. Throws `StateDamage` that says why none could be used: then everything is as it was.
 */
export async function rebuildState(
  options: ReplicaOptions,
  damage: StateDamage,
): Promise<RebuiltState | undefined> {
  const files = await snapshotFiles(options.directory)
  const reasons: string[] = []
  for (const snapshot of files) {
    try {
      const built = await buildFrom(options, snapshot)
      const aside = await swap(options.directory)
      return { damage: damage.message, aside, snapshot, ...built }
    } catch (error) {
      const reason = stateDamageIn(error) ?? error
      await rm(buildingPath(options.directory), { recursive: true, force: true })
      if (!isUnusable(reason)) throw error
      reasons.push(`${snapshot}: ${(reason as Error).message}`)
    }
  }
  if (reasons.length === 0) return undefined
  throw new StateDamage(`${damage.message}; it can't be built anew from ${reasons.join('; ')}`, {
    cause: damage,
  })
}

/** Another attempt would end alike. */
function isUnusable(error: unknown): boolean {
  return [SnapshotDamage, StateDamage, LogDamage, LogRefused].some((kind) => error instanceof kind)
}

type Built = Pick<RebuiltState, 'startRevision' | 'lastRevision'>

async function buildFrom(options: ReplicaOptions, snapshot: string): Promise<Built> {
  const { directory, shard, journals, fileSystem = nodeFileSystem } = options
  const reader = await SnapshotFileReader.open(fileSystem, snapshot, options)
  try {
    const { start } = reader.head.begin
    const logOptions = logOptionsOf(options)
    // A log that is gone is damage; to look for what a journal holds of it would be another error.
    const isThere = await exists(logOptions.directory)
    const journaled = isThere ? await journals?.framesOf(shard, logOptions.directory) : undefined
    const log = await Log.open({
      ...logOptions,
      ...(journaled === undefined ? {} : { journaled }),
      replayAfter: start.revision,
      onFrame: () => undefined,
    })
    try {
      const found = await log.positionAtOrBefore(start.revision)
      if (found === undefined || !isSamePosition(found, start)) {
        throw new SnapshotDamage('the log has another frame where it begins')
      }
      const end = await storePages(reader, options)
      if (end.revision > log.lastRevision) {
        throw new SnapshotDamage(
          `it holds effects up to revision ${end.revision}, the log ends at ${log.lastRevision}`,
        )
      }
      await fold(log, options, start.revision)
    } finally {
      await log.close()
    }
    await nodeFileSystem.syncDirectory(buildingPath(directory))
    return { startRevision: start.revision, lastRevision: log.lastRevision }
  } finally {
    await reader.close()
  }
}

async function storePages(
  reader: SnapshotFileReader,
  options: ReplicaOptions,
): Promise<SnapshotEnd> {
  const building = buildingPath(options.directory)
  await rm(building, { recursive: true, force: true })
  const build = new StateBuild(stateOptionsOf(options), reader.head.begin)
  try {
    for await (const part of reader.parts()) {
      if (part.type === 'snapshotPage') {
        await build.takePage(part.page)
        continue
      }
      await build.end(part.end)
      return part.end
    }
    throw new SnapshotDamage('it has no end')
  } finally {
    await build.close()
  }
}

function stateOptionsOf({ directory, clusterId, shard, fileSystem }: ReplicaOptions) {
  return {
    directory: buildingPath(directory),
    clusterId,
    shard,
    ...(fileSystem === undefined ? {} : { fileSystem }),
  }
}

/** Takes the log after `startRevision` in, in parts: it may be larger than what memory is for. */
async function fold(log: Log, options: ReplicaOptions, startRevision: number): Promise<void> {
  const { clusterId, shard, fileSystem } = options
  const state = State.open(buildingPath(options.directory), { clusterId, shard }, fileSystem)
  try {
    const memory = { state, overlay: new Overlay(), sessions: new SessionTable() }
    const { overlay, sessions } = memory
    sessions.load(state.marks.sessionFloor, state.sessions())
    let { timeMs } = state.marks
    for await (const frame of log.readFrom(startRevision + 1)) {
      replayFrame(ownFrame(frame), memory)
      timeMs = Math.max(timeMs, frame.timeMs)
      if (overlay.bytes >= FOLD_BYTES) await applyOverlay(overlay, state, { sessions, timeMs })
    }
    if (!overlay.isEmpty) await applyOverlay(overlay, state, { sessions, timeMs })
    await state.flushed()
  } finally {
    await state.close()
  }
}

async function swap(directory: string): Promise<string | undefined> {
  const state = join(directory, 'state')
  const aside = (await exists(state)) ? await moveAside(state) : undefined
  await rename(buildingPath(directory), state)
  await nodeFileSystem.syncDirectory(directory)
  await rm(notePath(directory), { force: true })
  return aside
}

/**
 * Notes that the state of a copy, which may open well, is damaged: the next opening builds it anew.
 * Returns whether it can hope to. Nothing is noted for a copy without a snapshot.
 */
export async function noteStateDamage(directory: string, error: Error): Promise<boolean> {
  if (!(error instanceof StateDamage)) return false
  if ((await snapshotFiles(directory)).length === 0) return false
  const path = notePath(directory)
  await rm(path, { force: true })
  const file = await nodeFileSystem.open(path, 'create')
  try {
    await writeWhole(file, Buffer.from(error.message), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await nodeFileSystem.syncDirectory(directory)
  return true
}

/** What was noted, if anything was. */
export async function notedStateDamage(directory: string): Promise<StateDamage | undefined> {
  try {
    return new StateDamage(await readFile(notePath(directory), 'utf8'))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function buildingPath(directory: string): string {
  // No dot: lmdb would take it for the name of a file.
  return join(directory, 'state-building')
}

function notePath(directory: string): string {
  return join(directory, 'state.damage')
}
