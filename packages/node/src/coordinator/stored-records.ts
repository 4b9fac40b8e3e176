/**
 * The two records a coordinator keeps, as they stand in the files of every volume.
 *
 * `node.json` says what the data directory is; it is written once. `topology.json` says who hosts
 * what; it is written before anyone acts on it. Each is JSON with a checksum over the record, so
 * that a damaged file is noticed instead of believed (P8).
 */
import { createHash } from 'node:crypto'
import type { InSync } from '../link/control.js'
import type { ProcessIdentity } from './process-identity.js'

export const FORMAT_VERSION = 1

/** What a data directory is, for its whole life. */
export interface Identity {
  readonly formatVersion: number
  readonly clusterId: string
  /** A power of two: `shardOf(key)` depends on it. */
  readonly shardCount: number
  /** Hexadecimal; the key under which client ids are signed. */
  readonly secret: string
  /** Which of the node's volumes this one is, counted from 0, and how many there are. */
  readonly volume: number
  readonly volumeCount: number
}

/** Who hosts what. */
export interface StoredTopology {
  readonly formatVersion: number
  readonly clusterId: string
  /** Grows with each write; of several volumes the highest holds. */
  readonly generation: number
  /** How many times a coordinator has started on this directory. */
  readonly incarnation: number
  /** Client ids below this may have been given out; the next coordinator begins here. */
  readonly clientIdsEnd: number
  /** By shard id. */
  readonly shards: readonly StoredShard[]
  /** Children that were started and whose end was not seen. */
  readonly processes: readonly StoredProcess[]
  /** The node has run with `fsync: 'everysec'`: epochs begin with a jump, for ever. */
  readonly jumps?: boolean
  /** Absent in a node that was not scaled since it was last told how many children to have. */
  readonly scaled?: StoredScale | undefined
}

/** What a running node was told to have. */
export interface StoredScale {
  /** The option `children` of its start; 0 if it was not given. */
  readonly asked: number
  readonly children: number
}

export interface StoredShard {
  readonly epoch: number
  /** Index into `copies`: who is primary in this epoch. */
  readonly primary: number
  /** Absent in records of before there were several copies: the primary alone, version 1. */
  readonly inSync?: InSync
  /** By copy number: a copy lives at `<volume>/shards/<id>/<copy>`. */
  readonly copies: readonly StoredCopy[]
}

export interface StoredCopy {
  /** Index of the volume. */
  readonly volume: number
  /** Who hosts it, or did last; 0 if nobody ever has. */
  readonly child: number
  /** Number of the present hosting, or the last; absent in older records: none that counts. */
  readonly hosting?: number
  /** Whether its files were confirmed to exist: from then on their absence is damage. */
  readonly isCreated: boolean
}

export interface StoredProcess extends ProcessIdentity {
  readonly child: number
}

interface Sealed {
  readonly checksum: string
  readonly record: unknown
}

/** The record as the content of a file. */
export function seal(record: Identity | StoredTopology): string {
  return `${JSON.stringify({ checksum: checksumOf(record), record })}\n`
}

export function readIdentity(text: string): Identity {
  return unseal(text) as Identity
}

export function readStoredTopology(text: string): StoredTopology {
  return unseal(text) as StoredTopology
}

/** The checksum vouches for the shape: only `seal` writes these files. */
function unseal(text: string): unknown {
  const sealed = JSON.parse(text) as Partial<Sealed> | null
  if (sealed?.record === undefined || checksumOf(sealed.record) !== sealed.checksum) {
    throw new Error('the checksum does not match the content')
  }
  const { formatVersion } = sealed.record as { formatVersion: unknown }
  if (formatVersion !== FORMAT_VERSION) {
    throw new Error(
      `format version is ${String(formatVersion)}, this version reads ${FORMAT_VERSION}`,
    )
  }
  return sealed.record
}

function checksumOf(record: unknown): string {
  return createHash('sha256').update(JSON.stringify(record)).digest('hex')
}
