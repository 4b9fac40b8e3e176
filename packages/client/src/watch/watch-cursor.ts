/**
 * Cursors of watches: how far a watcher has come in each of its shards. Pure.
 *
 * Opaque to users: MessagePack `[version, cluster, hash of what is watched, shards, [epoch,
 * revision, seen, frontier], …]` in base64url. Whether the logs still reach back that far is found
 * out by the node.
 */
import type { WatchPosition, WatchSelection, WireReader } from '@kv/protocol'
import { KEY_BYTES_MAX, SHARDS_MAX, WireWriter } from '@kv/protocol'
import { hashOfText, invalidCursor, readCursor, toOpaqueText } from '../opaque-text.js'

/** Marks a cursor of a watch, so that one of a listing is none. */
const CURSOR_VERSION = 101
const CLUSTER_ID_BYTES_MAX = 64

/** How far a watcher has come in one shard. */
export interface ShardPosition extends WatchPosition {
  /** Keys from here on have not been seen at all; `undefined`: all have. */
  readonly frontier: string | undefined
}

/** Nothing seen: the current values come first. */
export const UNSEEN: ShardPosition = { epoch: 0, revision: 0, seen: 0, frontier: '' }

/** Nothing seen, and nothing before this moment wanted. */
export const FROM_NOW: ShardPosition = { epoch: 0, revision: 0, seen: 0, frontier: undefined }

export interface WatchCursor {
  readonly clusterId: string
  /** In the order of the shards watched. */
  readonly positions: readonly ShardPosition[]
}

export function encodeWatchCursor(what: WatchSelection, cursor: WatchCursor): string {
  const writer = new WireWriter()
  writer.array(4)
  writer.integer(CURSOR_VERSION)
  writer.text(cursor.clusterId)
  writer.integer(hashOf(what))
  writer.array(cursor.positions.length)
  for (const { epoch, revision, seen, frontier } of cursor.positions) {
    writer.array(4)
    writer.integer(epoch)
    writer.integer(revision)
    writer.integer(seen)
    if (frontier === undefined) writer.nil()
    else writer.text(frontier)
  }
  return toOpaqueText(writer.written())
}

/** Throws `INVALID_CURSOR` for what is no cursor of such a watch. */
export function decodeWatchCursor(cursor: unknown, what: WatchSelection): WatchCursor {
  const { hash, ...found } = readCursor('since', cursor, CURSOR_VERSION, (reader) => ({
    clusterId: reader.text(CLUSTER_ID_BYTES_MAX),
    hash: reader.unsigned(),
    positions: Array.from({ length: reader.array(SHARDS_MAX) }, () => readPosition(reader)),
  }))
  if (hash !== hashOf(what)) throw invalidCursor('it belongs to a watch of something else')
  return found
}

function readPosition(reader: WireReader): ShardPosition {
  reader.tuple(4)
  return {
    epoch: reader.unsigned(),
    revision: reader.unsigned(),
    seen: reader.unsigned(),
    frontier: reader.skipNil() ? undefined : reader.text(KEY_BYTES_MAX + 1),
  }
}

function hashOf({ keys, prefix }: WatchSelection): number {
  return hashOfText(keys === undefined ? `p${prefix}` : `k${JSON.stringify(keys.toSorted())}`)
}
