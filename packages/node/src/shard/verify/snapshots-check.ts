/** The offline check of the snapshots that lie in files beside a copy's log and state. */
import type { LogFileSystem } from '../log/file-system.js'
import { snapshotFiles } from '../snapshot/snapshot-directory.js'
import { checkSnapshotFile, SnapshotFileReader } from '../snapshot/snapshot-file.js'
import { findingOf, type Finding } from './finding.js'
import type { WalkedLog } from './log-walk.js'

interface SnapshotsCheck {
  readonly files: LogFileSystem
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
}

/**
 * Reads each file as a rebuild would, without building anything. One to which the log does not reach back
 * is no damage: it is of no use any more. Returns how many there are.
 */
export async function checkSnapshots(
  check: SnapshotsCheck,
  log: Pick<WalkedLog, 'last'> | undefined,
  findings: Finding[],
): Promise<number> {
  const paths = await snapshotFiles(check.directory)
  for (const path of paths) {
    try {
      const reader = await SnapshotFileReader.open(check.files, path, check)
      try {
        const { revision } = await checkSnapshotFile(reader)
        if (log !== undefined && revision > log.last.revision) {
          const what = `the snapshot holds effects up to revision ${revision}, the log ends at ${log.last.revision}`
          findings.push({ path, what })
        }
      } finally {
        await reader.close()
      }
    } catch (error) {
      findings.push(findingOf(error, path))
    }
  }
  return paths.length
}
