/**
 * Takes possession of a data directory: makes it if need be, locks it, reads it, and waits until
 * nobody of a former coordinator is left. In this order, and nothing may be opened before (P5).
 */
import fs from 'node:fs/promises'
import { KvError } from '@kv/protocol'
import type { Logger } from 'pino'
import { CLIENT_ID_BLOCK } from './client-ids.js'
import type { DirectoryLock } from './directory-lock.js'
import { lockDirectory } from './directory-lock.js'
import { endLeftovers } from './leftovers.js'
import { TopologyStore, prepareVolumes } from './topology-store.js'

export interface DataDirectory {
  readonly store: TopologyStore
  readonly lock: DirectoryLock
  /** The first client id of this coordinator; a block of them is reserved. */
  readonly firstClientId: number
}

export interface DirectoryRequest {
  readonly dataDir: string
  /** What was asked for; `undefined` if the directory decides. */
  readonly shards: number | undefined
  /** For a new directory. */
  readonly newShards: number
  readonly log: Logger
}

export async function openDataDirectory(request: DirectoryRequest): Promise<DataDirectory> {
  const { dataDir } = request
  await prepareVolumes([dataDir], fs).catch((error: unknown) => {
    throw unusable(dataDir, error)
  })
  const lock = await lockDirectory(dataDir).catch((error: unknown) => {
    throw unusable(dataDir, error)
  })
  try {
    return { lock, ...(await openStore(request)) }
  } catch (error) {
    await lock.release()
    throw unusable(dataDir, error)
  }
}

async function openStore(
  request: DirectoryRequest,
): Promise<{ readonly store: TopologyStore; readonly firstClientId: number }> {
  const { dataDir, shards, newShards, log } = request
  const store = await TopologyStore.open([dataDir], fs, newShards)
  const { shardCount } = store.identity
  if (shards !== undefined && shards !== shardCount) {
    throw new TypeError(
      `shards is ${shards}, but ${dataDir} was created with ${shardCount}, and that can't change`,
    )
  }
  const { processes, incarnation, clientIdsEnd } = store.stored
  const killed = await endLeftovers(processes)
  if (killed > 0) log.warn({ killed }, 'children of a former coordinator had to be killed')
  await store.update({
    incarnation: incarnation + 1,
    clientIdsEnd: clientIdsEnd + CLIENT_ID_BLOCK,
    processes: [],
  })
  return { store, firstClientId: clientIdsEnd }
}

/** Errors of the system say what failed, not what for. */
function unusable(dataDir: string, error: unknown): unknown {
  if (error instanceof KvError || error instanceof TypeError) return error
  return new KvError('UNAVAILABLE', `${dataDir} can't be used: ${(error as Error).message}`, {
    outcome: 'not-applied',
    cause: error,
  })
}
