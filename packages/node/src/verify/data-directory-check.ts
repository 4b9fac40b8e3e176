/**
 * The offline check of a data directory: every replica that the coordinator's record says is there.
 *
 * It takes the directory's lock, so that no node can use it meanwhile, and waits for children that a
 * killed coordinator left behind. It changes nothing but the lock.
 */
import fs from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import { KvError } from '@kv/protocol'
import { lockDirectory } from '../coordinator/directory-lock.js'
import { endLeftovers } from '../coordinator/leftovers.js'
import { isSameProcessAlive } from '../coordinator/process-identity.js'
import { copyDirectory } from '../coordinator/topology-store.js'
import type { Identity, StoredTopology } from '../coordinator/stored-records.js'
import { readIdentity, readStoredTopology } from '../coordinator/stored-records.js'
import { nodeFileSystem } from '../shard/log/file-system.js'
import { findingOf, type Finding } from '../shard/verify/finding.js'
import { JournalContents } from '../shard/verify/journal-contents.js'
import { checkReplica } from '../shard/verify/replica-check.js'

export interface DataDirectoryReport {
  readonly findings: readonly (Finding & { readonly shard: number | undefined })[]
  readonly shards: number
  readonly replicas: number
  readonly journals: number
  readonly segments: number
  readonly revisions: number
  readonly entries: number
}

/** Rejects with `UNAVAILABLE` if the directory is in use, or is none. */
export async function checkDataDirectory(dataDir: string): Promise<DataDirectoryReport> {
  await fs.access(join(dataDir, 'topology.json')).catch((cause: unknown) => {
    throw new KvError('UNAVAILABLE', `${dataDir} holds no data of a kv node`, {
      outcome: 'not-applied',
      cause,
    })
  })
  const lock = await lockDirectory(dataDir)
  try {
    return await checkLocked(dataDir)
  } finally {
    await lock.release()
  }
}

type Total = { -readonly [Name in keyof DataDirectoryReport]: DataDirectoryReport[Name] }

async function checkLocked(dataDir: string): Promise<DataDirectoryReport> {
  const findings: (Finding & { shard: number | undefined })[] = []
  const total: Total = {
    findings,
    shards: 0,
    replicas: 0,
    journals: 0,
    segments: 0,
    revisions: 0,
    entries: 0,
  }
  const identity = await readRecord<Identity>(join(dataDir, 'node.json'), readIdentity, findings)
  const path = join(dataDir, 'topology.json')
  const topology = await readRecord<StoredTopology>(path, readStoredTopology, findings)
  if (identity === undefined || topology === undefined) return total
  await untilLeft(topology)
  const journals = new JournalContents(nodeFileSystem, dataDir)
  total.shards = topology.shards.length
  for (const [shard, { epoch, copies }] of topology.shards.entries()) {
    for (const [copy, { isCreated }] of copies.entries()) {
      if (!isCreated) continue
      const { findings: found, ...figures } = await checkReplica({
        files: nodeFileSystem,
        directory: copyDirectory(dataDir, shard, copy),
        clusterId: identity.clusterId,
        shard,
        epoch,
        journals,
      })
      findings.push(...found.map((finding) => ({ ...finding, shard })))
      total.replicas += 1
      total.segments += figures.segments
      total.revisions += figures.revisions
      total.entries += figures.entries
    }
  }
  total.journals = journals.count
  return total
}

async function readRecord<Content>(
  path: string,
  read: (text: string) => Content,
  findings: (Finding & { shard: number | undefined })[],
): Promise<Content | undefined> {
  try {
    return read(await fs.readFile(path, 'utf8'))
  } catch (error) {
    findings.push({ ...findingOf(error, path), shard: undefined })
    return undefined
  }
}

/** Nobody is killed for a look: who does not end by himself makes the check fail. */
async function untilLeft({ processes }: StoredTopology): Promise<void> {
  const kill = (): void => {}
  await endLeftovers(processes, { isAlive: isSameProcessAlive, kill, delay })
}
