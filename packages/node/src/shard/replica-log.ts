/**
 * The log of a replica, opened such that its frames become durable in the child's journal, if there
 * is one.
 */
import { join } from 'node:path'
import type { LogFrame } from './log/frame.js'
import type { JournaledFrame } from './log/frame-journal.js'
import { Log } from './log/log.js'
import type { LogOptions } from './log/options.js'
import type { LogPosition } from './log/position.js'
import type { ReplicaOptions } from './replica.js'

export function logOptionsOf({
  directory,
  clusterId,
  shard,
  onRoom,
  fileSystem,
}: ReplicaOptions): LogOptions {
  return {
    directory: join(directory, 'log'),
    clusterId,
    shard,
    ...(onRoom === undefined ? {} : { onRoom }),
    ...(fileSystem === undefined ? {} : { fileSystem }),
  }
}

interface Replay {
  readonly replayAfter: number
  readonly onFrame: (frame: LogFrame) => void
  readonly cutAfter?: number
  readonly journaled?: readonly JournaledFrame[]
}

/** Opens the log and binds it to the journal, in place of whatever it was bound to. */
export async function openLog(options: ReplicaOptions, replay: Replay): Promise<Log> {
  const logOptions = logOptionsOf(options)
  const journal = await options.journals?.memberFor(options.shard, logOptions.directory)
  const log = await Log.open({
    ...logOptions,
    ...replay,
    ...(journal === undefined ? {} : { journal }),
  })
  journal?.join(log)
  return log
}

/**
 * Closes the log and opens it again without what comes after a position. Closed first: the journal
 * must not bring back what was cut.
 */
export async function cutLog(log: Log, options: ReplicaOptions, after: LogPosition): Promise<Log> {
  await log.close()
  const { revision } = after
  return openLog(options, { replayAfter: revision, cutAfter: revision, onFrame: () => undefined })
}
