/**
 * Takes possession of a node's volumes: makes them if need be, locks them, reads them, and waits until
 * nobody of a former coordinator is left. In this order, and nothing may be opened before (P5).
 */
import fs from 'node:fs/promises'
import { KvError } from '@kv/protocol'
import type { Logger } from 'pino'
import { CLIENT_ID_BLOCK } from '../ingress/client-ids.js'
import type { Fsync } from '../link/control.js'
import { childCountAtStart } from './child-count.js'
import { assertRoomForCopies, defaultMinInSync } from './copies.js'
import type { DirectoryLock } from './directory-lock.js'
import { lockDirectory } from './directory-lock.js'
import { endLeftovers } from './leftovers.js'
import { TopologyStore, prepareVolumes } from './topology-store.js'

export interface DataDirectory {
  readonly store: TopologyStore
  readonly lock: DirectoryLock
  /** The first client id of this coordinator; a block of them is reserved. */
  readonly firstClientId: number
  /** Copies of every shard. */
  readonly copies: number
  readonly minInSync: number
  /** Children to begin with. */
  readonly children: number
}

export interface DirectoryRequest {
  readonly volumes: readonly string[]
  readonly lostVolumes: readonly number[]
  /** What was asked for; `undefined` if nothing was. */
  readonly children: number | undefined
  /** For a node that was never scaled. */
  readonly usualChildren: number
  /** What was asked for; `undefined` if the directory decides. */
  readonly shards: number | undefined
  /** For a new directory. */
  readonly newShards: number
  /** What was asked for; `undefined` if the directory decides. */
  readonly replicationFactor: number | undefined
  readonly minInSync: number | undefined
  readonly fsync: Fsync
  readonly log: Logger
}

export async function openDataDirectory(request: DirectoryRequest): Promise<DataDirectory> {
  const { volumes, lostVolumes } = request
  const present = volumes.filter((_, index) => !lostVolumes.includes(index))
  const held: DirectoryLock[] = []
  const lock = { release: () => releaseAll(held) }
  try {
    for (const volume of present) {
      held.push(await takeVolume(volume))
    }
    return { lock, ...(await openStore(request)) }
  } catch (error) {
    await lock.release()
    throw unusable(present.join(', '), error)
  }
}

async function takeVolume(volume: string): Promise<DirectoryLock> {
  try {
    await prepareVolumes([volume], fs)
    return await lockDirectory(volume)
  } catch (error) {
    throw unusable(volume, error)
  }
}

async function releaseAll(locks: readonly DirectoryLock[]): Promise<void> {
  await Promise.all(locks.map((lock) => lock.release()))
}

async function openStore(request: DirectoryRequest): Promise<Omit<DataDirectory, 'lock'>> {
  const { volumes, lostVolumes, newShards, log } = request
  const store = await TopologyStore.open({
    volumes,
    lostVolumes,
    disk: fs,
    newShards,
    newCopies: request.replicationFactor ?? 1,
    listener: {
      onSuspect: (volume, error) => {
        log.error({ volume, err: error }, `${volume} can't be written: going on without it`)
      },
      onWell: (volume) => log.info({ volume }, `${volume} can be written again`),
    },
  })
  const { copies, minInSync, children } = judge(request, store)
  const { processes, incarnation, clientIdsEnd, scaled } = store.stored
  const killed = await endLeftovers(processes)
  if (killed > 0) log.warn({ killed }, 'children of a former coordinator had to be killed')
  await store.update({
    incarnation: incarnation + 1,
    clientIdsEnd: clientIdsEnd + CLIENT_ID_BLOCK,
    processes: [],
    // Known before anything can be lost, and never forgotten.
    ...(request.fsync === 'everysec' ? { jumps: true } : {}),
    // Another `children` than that with which it was scaled counts for good.
    scaled: scaled?.asked === (request.children ?? 0) ? scaled : undefined,
  })
  return { store, firstClientId: clientIdsEnd, copies, minInSync, children }
}

/** Throws a `TypeError` if the directory can't be used as it was asked for. */
function judge(
  request: DirectoryRequest,
  store: TopologyStore,
): Pick<DataDirectory, 'copies' | 'minInSync' | 'children'> {
  const { volumes, shards, children: asked, usualChildren: usual } = request
  const { shardCount } = store.identity
  const found = store.stored.shards[0]?.copies.length ?? 1
  const where = volumes.join(', ')
  if (shards !== undefined && shards !== shardCount) {
    throw new TypeError(
      `shards is ${shards}, but ${where} was created with ${shardCount}, and that can't change`,
    )
  }
  const copies = request.replicationFactor ?? found
  if (copies < found) {
    throw new TypeError(
      `replicationFactor is ${copies}, but ${where} keeps ${found} copies, and that can only grow`,
    )
  }
  const children = childCountAtStart({ asked, usual, copies }, store.stored.scaled)
  assertRoomForCopies(copies, volumes.length, children)
  const minInSync = request.minInSync ?? defaultMinInSync(copies)
  if (minInSync > copies) {
    throw new TypeError(`minInSync is ${minInSync}, but there are ${copies} copies`)
  }
  return { copies, minInSync, children }
}

/** Errors of the system say what failed, not what for. */
function unusable(where: string, error: unknown): unknown {
  if (error instanceof KvError || error instanceof TypeError) return error
  return new KvError('UNAVAILABLE', `${where} can't be used: ${(error as Error).message}`, {
    outcome: 'not-applied',
    cause: error,
  })
}
