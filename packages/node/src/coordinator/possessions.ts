/**
 * What a coordinator takes before it does anything, and the state with which it begins.
 */
import { absentChild } from './child-state.js'
import type { CoordinatorSettings } from './coordinator.js'
import type { DataDirectory } from './data-directory.js'
import { openDataDirectory } from './data-directory.js'
import type { NodeState } from './node-state.js'
import { firstTopology } from './node-state.js'
import { RunDirectory } from './run-directory.js'
import { restoreShards } from './state-record.js'

/** Versions one coordinator may use up; the next begins above them without having to know. */
const TOPOLOGIES_PER_INCARNATION = 2 ** 24

/** What a coordinator has for itself, for as long as it lives. */
export interface Possessions {
  readonly directory: DataDirectory
  readonly runDirectory: RunDirectory | undefined
}

export async function takePossession(settings: CoordinatorSettings): Promise<Possessions> {
  const directory = await openDataDirectory(settings)
  if (directory.copies === 1) return { directory, runDirectory: undefined }
  try {
    const { clusterId } = directory.store.identity
    const identity = [clusterId, ...settings.volumes].join('\0')
    return { directory, runDirectory: await RunDirectory.open(identity) }
  } catch (error) {
    await directory.lock.release()
    throw error
  }
}

export function firstState(directory: DataDirectory, settings: CoordinatorSettings): NodeState {
  const { copies, minInSync, children } = directory
  const { stored } = directory.store
  const { volumes, lostVolumes } = settings
  const shards = restoreShards(stored, { copies, volumeCount: volumes.length, lostVolumes })
  const version = stored.incarnation * TOPOLOGIES_PER_INCARNATION
  return {
    minInSync,
    shards,
    children: Array.from({ length: children }, (_, index) => absentChild(index + 1)),
    published: firstTopology(version, shards),
  }
}
