/**
 * Reads the header of a segment file and decides whether the file is ours: this cluster, this shard,
 * a version and features that this program knows, and the size it was made with. Damage and refusal
 * are kept apart, because a replica that is rebuilt over somebody else's files destroys them.
 */
import { LogDamage, LogRefused } from './errors.js'
import type { LogFileSystem } from './file-system.js'
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.js'
import { readWhole, withFile } from './whole-io.js'

export interface LogIdentity {
  readonly clusterId: string
  readonly shard: number
}

export async function readSegmentHeader(
  files: LogFileSystem,
  path: string,
  identity: LogIdentity,
): Promise<SegmentHeader> {
  const { block, sizeBytes } = await withFile(await files.open(path, 'read'), async (file) => ({
    block: await readWhole(file, 0, SEGMENT_HEADER_BYTES),
    sizeBytes: await file.size(),
  }))
  const header = understoodHeader(block, path)
  if (header.clusterId !== identity.clusterId) {
    const owner = `${path} belongs to cluster ${header.clusterId}, not to ${identity.clusterId}.`
    throw new LogRefused('other-cluster', owner)
  }
  if (header.shard !== identity.shard) {
    const owner = `${path} belongs to shard ${header.shard}, not to ${identity.shard}.`
    throw new LogRefused('other-shard', owner)
  }
  // The size was synced before the file got its name, so no crash leaves another one.
  if (sizeBytes !== header.capacityBytes) throw new LogDamage('wrong-size', path, sizeBytes)
  return header
}

function understoodHeader(block: Buffer, path: string): SegmentHeader {
  const decoded = decodeSegmentHeader(block)
  switch (decoded.kind) {
    case 'header':
      return decoded.header
    case 'damaged':
      throw new LogDamage('bad-segment-header', path, 0)
    case 'unknown-version': {
      const message = `${path} has format version ${decoded.version}, which this version of kv does not know.`
      throw new LogRefused('unknown-version', message)
    }
    case 'unknown-features': {
      const bits = `0x${decoded.features.toString(16)}`
      const message = `${path} uses features ${bits} that this version of kv does not know.`
      throw new LogRefused('unknown-features', message)
    }
  }
}
