/**
 * The volumes of a node that does not run: which they are, and the newest record of its topology.
 */
import fs from 'node:fs/promises'
import { join } from 'node:path'
import { KvError } from '@kv/protocol'
import type { DirectoryLock } from '../coordinator/directory-lock.js'
import { lockDirectory } from '../coordinator/directory-lock.js'
import type { Identity, StoredTopology } from '../coordinator/stored-records.js'
import { readIdentity, readStoredTopology } from '../coordinator/stored-records.js'
import { findingOf, type Finding } from '../shard/verify/finding.js'

const IDENTITY_FILE = 'node.json'
const TOPOLOGY_FILE = 'topology.json'

export interface FoundNode {
  readonly identity: Identity
  readonly topology: StoredTopology
  /** By the numbers that the topology has for them. */
  readonly volumes: readonly string[]
}

/** Locks every volume while `work` runs. Rejects with `UNAVAILABLE` if one is in use, or is none. */
export async function withVolumes<Result>(
  paths: readonly string[],
  work: () => Promise<Result>,
): Promise<Result> {
  const locks: DirectoryLock[] = []
  try {
    for (const path of paths) {
      await fs.access(join(path, TOPOLOGY_FILE)).catch((cause: unknown) => {
        throw unavailable(`${path} holds no data of a kv node`, cause)
      })
      locks.push(await lockDirectory(path))
    }
    return await work()
  } finally {
    for (const lock of locks) await lock.release()
  }
}

/** What the volumes say of the node; `undefined` if too much of it can't be read. */
export async function readVolumes(
  paths: readonly string[],
  findings: Finding[],
): Promise<FoundNode | undefined> {
  const identities: Identity[] = []
  const topologies: StoredTopology[] = []
  const volumes: string[] = []
  for (const path of paths) {
    const identity = await readRecord(join(path, IDENTITY_FILE), readIdentity, findings)
    const topology = await readRecord(join(path, TOPOLOGY_FILE), readStoredTopology, findings)
    if (topology !== undefined) topologies.push(topology)
    if (identity === undefined) continue
    identities.push(identity)
    volumes[identity.volume] = path
  }
  const [identity] = identities
  const topology = topologies.toSorted((left, right) => right.generation - left.generation)[0]
  if (identity === undefined || topology === undefined) return undefined
  for (const other of identities) assertTogether(identity, other, paths.length)
  return { identity, topology, volumes }
}

function assertTogether(
  first: Identity,
  { clusterId, volumeCount }: Identity,
  given: number,
): void {
  if (clusterId !== first.clusterId) throw unavailable('the paths are of different nodes')
  if (volumeCount === given) return
  throw unavailable(`the node has ${volumeCount} volumes, not ${given}: name all of them`)
}

async function readRecord<Content>(
  path: string,
  read: (text: string) => Content,
  findings: Finding[],
): Promise<Content | undefined> {
  try {
    return read(await fs.readFile(path, 'utf8'))
  } catch (error) {
    findings.push(findingOf(error, path))
    return undefined
  }
}

function unavailable(message: string, cause?: unknown): KvError {
  return new KvError('UNAVAILABLE', message, { outcome: 'not-applied', cause })
}
