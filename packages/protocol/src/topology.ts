/**
 * The topology as clients see it: which child is primary for which shard.
 *
 * It is pushed whenever it changes and only ever replaced by one of a higher version. What
 * operators see besides (pids, copies, revisions) is the node's own business.
 */
import { protocolError } from './errors.js'
import { CHILDREN_MAX, SHARDS_MAX } from './limits.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** Stands for «no child» where a shard has no primary at the moment. */
export const NO_CHILD = 0

export interface RoutedChild {
  /** Positive; `NO_CHILD` is not a child. */
  readonly id: number
  /** Where the child listens for direct connections; 0 if it does not. */
  readonly port: number
}

export interface Topology {
  /** Grows with every change. */
  readonly version: number
  /** A power of two, fixed for the life of the data. */
  readonly shardCount: number
  readonly children: readonly RoutedChild[]
  /** By shard: the child that is its primary, or `NO_CHILD`. */
  readonly primaries: readonly number[]
  /** By shard: the epoch of that primary. */
  readonly epochs: readonly number[]
  /**
   * By shard: the children that host a copy in sync as backup, and may answer replica reads. Empty
   * if no shard has any.
   */
  readonly backups: readonly (readonly number[])[]
}

export function writeTopology(writer: WireWriter, topology: Topology): void {
  writer.array(6)
  writer.integer(topology.version)
  writer.integer(topology.shardCount)
  writer.array(topology.children.length)
  for (const child of topology.children) {
    writer.array(2)
    writer.integer(child.id)
    writer.integer(child.port)
  }
  writeIntegers(writer, topology.primaries)
  writeIntegers(writer, topology.epochs)
  writer.array(topology.backups.length)
  for (const children of topology.backups) writeIntegers(writer, children)
}

export function readTopology(reader: WireReader): Topology {
  reader.tuple(6)
  const version = reader.unsigned()
  const shardCount = readShardCount(reader)
  const children = Array.from({ length: reader.array(CHILDREN_MAX) }, () => {
    reader.tuple(2)
    return { id: reader.unsigned(), port: reader.unsigned() }
  })
  const primaries = readIntegers(reader, shardCount)
  const epochs = readIntegers(reader, shardCount)
  const backups = readBackups(reader, shardCount)
  return { version, shardCount, children, primaries, epochs, backups }
}

/** Everything by shard has this length, so it is checked before anything is read for it. */
function readShardCount(reader: WireReader): number {
  const count = reader.unsigned()
  const isPowerOfTwo = Number.isInteger(Math.log2(count))
  if (count > SHARDS_MAX || !isPowerOfTwo) throw protocolError(`a topology of ${count} shards`)
  return count
}

function writeIntegers(writer: WireWriter, values: readonly number[]): void {
  writer.array(values.length)
  for (const value of values) writer.integer(value)
}

function readIntegers(reader: WireReader, count: number): number[] {
  reader.tuple(count)
  return Array.from({ length: count }, () => reader.unsigned())
}

function readBackups(reader: WireReader, shardCount: number): number[][] {
  const count = reader.array(shardCount)
  if (count !== 0 && count !== shardCount) {
    throw protocolError(`backups of ${count} shards where there are ${shardCount}`)
  }
  return Array.from({ length: count }, () =>
    Array.from({ length: reader.array(CHILDREN_MAX) }, () => reader.unsigned()),
  )
}
