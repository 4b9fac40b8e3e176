/**
 * Creating the directory of a new log with its first segment, without frames, in a parent directory
 * that is durable already. The log of a copy that begins with a snapshot starts after the snapshot's
 * position instead of at the very beginning.
 */
import { dirname } from 'node:path'
import { CLOSING_MARK_NAME } from './closing-mark.js'
import type { EpochStart } from './epoch-table.js'
import { LogRefused } from './errors.js'
import type { LogFileSystem } from './file-system.js'
import { listDirectory } from './opening.js'
import type { LogPosition } from './position.js'
import type { LogIdentity } from './segment-identity.js'
import {
  ActiveSegment,
  firstRevisionOfName,
  newSalt,
  removeLeftover,
  temporaryPath,
  writeFullSize,
} from './segment.js'

/** What a log continues: the position of the last frame before it, and the epochs up to there. */
export interface LogStart {
  readonly position: LogPosition
  readonly epochs: readonly EpochStart[]
}

export interface Creation extends LogIdentity {
  readonly files: LogFileSystem
  readonly directory: string
  readonly capacityBytes: number
  readonly start: LogStart
}

export async function createDirectory(creation: Creation): Promise<ActiveSegment> {
  const { files, directory, capacityBytes, clusterId, shard, start } = creation
  await files.makeDirectory(directory)
  await files.syncDirectory(dirname(directory))
  const names = await listDirectory(files, directory)
  if (names.some((name) => name === CLOSING_MARK_NAME || firstRevisionOfName(name) !== undefined)) {
    throw new LogRefused('already-exists', `${directory} already holds a log.`)
  }
  const path = temporaryPath(directory)
  await writeFullSize(files, path, Buffer.alloc(0), capacityBytes)
  const file = await files.open(path, 'durable')
  try {
    const header = {
      clusterId,
      shard,
      salt: newSalt(),
      capacityBytes,
      ordinal: 1,
      previous: start.position,
      epochs: start.epochs,
    }
    return await ActiveSegment.begin(
      files,
      directory,
      { path, file, capacityBytes },
      header,
      undefined,
    )
  } catch (error) {
    await file.close()
    await removeLeftover(files, path)
    throw error
  }
}
