/**
 * The offline check of a node's volumes: every replica that the coordinator's record says is there,
 * and the copies of each shard against each other.
 *
 * It takes the lock of each volume, so that no node can use it meanwhile, and waits for children that
 * a killed coordinator left behind. It changes nothing but the locks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import { endLeftovers } from '../coordinator/leftovers.js'
import { isSameProcessAlive } from '../coordinator/process-identity.js'
import type { StoredShard, StoredTopology } from '../coordinator/stored-records.js'
import { copyDirectory } from '../coordinator/topology-store.js'
import { nodeFileSystem } from '../shard/log/file-system.js'
import type { CheckedCopy } from '../shard/verify/copies-check.js'
import { compareCopies } from '../shard/verify/copies-check.js'
import type { Finding } from '../shard/verify/finding.js'
import { JournalContents } from '../shard/verify/journal-contents.js'
import { checkReplica } from '../shard/verify/replica-check.js'
import { Trace } from '../shard/verify/trace.js'
import type { FoundNode } from './volumes.js'
import { readVolumes, withVolumes } from './volumes.js'

export interface DataDirectoryReport {
  readonly findings: readonly (Finding & { readonly shard: number | undefined })[]
  readonly shards: number
  readonly replicas: number
  readonly journals: number
  readonly segments: number
  readonly revisions: number
  readonly entries: number
  readonly snapshots: number
}

type Total = { -readonly [Name in keyof Omit<DataDirectoryReport, 'findings'>]: number }

/** Rejects with `UNAVAILABLE` if a volume is in use, is none, or is not all of the node's. */
export function checkDataDirectory(volumes: readonly string[]): Promise<DataDirectoryReport> {
  return withVolumes(volumes, () => checkLocked(volumes))
}

async function checkLocked(paths: readonly string[]): Promise<DataDirectoryReport> {
  const total: Total = {
    shards: 0,
    replicas: 0,
    journals: 0,
    segments: 0,
    revisions: 0,
    entries: 0,
    snapshots: 0,
  }
  const found: Finding[] = []
  const node = await readVolumes(paths, found)
  const findings = found.map((finding) => ({ ...finding, shard: undefined as number | undefined }))
  if (node === undefined) return { findings, ...total }
  await untilLeft(node.topology)
  const { shards } = node.topology
  const journals = node.volumes.map((volume) => new JournalContents(nodeFileSystem, volume))
  total.shards = shards.length
  for (const [shard, stored] of shards.entries()) {
    const inShard = await checkShard(node, { shard, stored, journals, total })
    findings.push(...inShard.map((finding) => ({ ...finding, shard })))
  }
  total.journals = journals.reduce((sum, { count }) => sum + count, 0)
  return { findings, ...total }
}

interface ShardCheck {
  readonly shard: number
  readonly stored: StoredShard
  /** By volume. */
  readonly journals: readonly JournalContents[]
  readonly total: Total
}

async function checkShard(
  { identity: { clusterId }, topology: { jumps }, volumes }: FoundNode,
  { shard, stored, journals, total }: ShardCheck,
): Promise<readonly Finding[]> {
  const { epoch, copies, primary, inSync = { members: [primary] } } = stored
  const findings: Finding[] = []
  const checked: CheckedCopy[] = []
  for (const [copy, { isCreated, volume }] of copies.entries()) {
    const [path, content] = [volumes[volume], journals[volume]]
    if (!isCreated || path === undefined || content === undefined) continue
    const directory = copyDirectory(path, shard, copy)
    const isInSync = inSync.members.includes(copy)
    // Nothing is kept for a comparison that there will not be.
    const trace = copies.length > 1 ? new Trace() : undefined
    const report = await checkReplica({
      files: nodeFileSystem,
      directory,
      clusterId,
      shard,
      epoch,
      isInSync,
      journals: content,
      ...(trace === undefined ? {} : { trace }),
    })
    findings.push(...report.findings)
    total.replicas += 1
    total.segments += report.segments
    total.revisions += report.revisions
    total.entries += report.entries
    total.snapshots += report.snapshots
    if (trace === undefined) continue
    const { log, marks } = report
    const statePath = join(directory, 'state')
    checked.push({ copy, directory, statePath, isInSync, log, marks, trace })
  }
  findings.push(...(await compareCopies(checked, { clusterId, shard, mayLack: jumps === true })))
  return findings
}

/** Nobody is killed for a look: who does not end by himself makes the check fail. */
async function untilLeft({ processes }: StoredTopology): Promise<void> {
  const kill = (): void => {}
  await endLeftovers(processes, { isAlive: isSameProcessAlive, kill, delay })
}
