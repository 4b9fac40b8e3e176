/**
 * `kv-node verify`: the offline check, as a page for people.
 */
import type { DataDirectoryReport } from '../verify/data-directory-check.js'

export function verifyReport(volumes: readonly string[], report: DataDirectoryReport): string {
  const { findings, shards, replicas, journals, segments, revisions, entries, snapshots } = report
  return [
    `kv-node verify ${volumes.join(' ')}`,
    `  shards     ${shards}, replicas ${replicas}`,
    `  log        ${revisions} revisions in ${segments} segments, ${journals} journals needed`,
    `  state      ${entries} entries, ${snapshots} snapshots`,
    ...findings.map(inWords),
    findings.length === 0 ? '  no damage' : `  DAMAGE: ${findings.length} findings`,
    '',
  ].join('\n')
}

function inWords({
  shard,
  path,
  offsetBytes,
  what,
}: DataDirectoryReport['findings'][number]): string {
  const where = offsetBytes === undefined ? path : `${path} at byte ${offsetBytes}`
  return `  ${shard === undefined ? 'node' : `shard ${shard}`}: ${where}: ${what}`
}
