/**
 * The bodies of `watch`, `credit` and `unwatch`: what a client asks a child to tell it about.
 *
 * The coordinator relays them without looking inside. A body is one array:
 *
 *   watch    [[id, credit, what, [[shard, epoch, revision, seen, frontier], …]], …]
 *   credit   [id, bytes, id, bytes, …]
 *   unwatch  [id, …]
 *
 * `what` is a text for a prefix (empty: every key) or an array of keys. For each shard stands where
 * to begin, a `WatchStart`.
 */
import { protocolError } from './errors.js'
import { KEY_BYTES_MAX, SHARDS_MAX, WATCH_KEYS_MAX, WATCHES_MAX } from './limits.js'
import { readKeyName, writeKeyName } from './system-keys.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** What a watch is about: some keys, or all that begin with a prefix. */
export type WatchSelection =
  | { readonly keys: readonly string[]; readonly prefix?: undefined }
  | { readonly prefix: string; readonly keys?: undefined }

/** How far a watcher has come in the log of a shard. */
export interface WatchPosition {
  /** Epoch of `revision`; 0: nowhere yet, so from now on. */
  readonly epoch: number
  /** Everything before it was seen. */
  readonly revision: number
  /** How many changes of the entry `revision` were seen; 0: all of them. */
  readonly seen: number
}

/** Where a watch of a shard begins. */
export interface WatchStart extends WatchPosition {
  readonly shard: number
  /**
   * Keys from this one on have not been seen at all: their current values come first. `undefined`:
   * none are due.
   */
  readonly frontier: string | undefined
}

/** One watch of a client at one child. */
export interface WireWatch {
  /** Names the watch within its connection; grows. */
  readonly id: number
  /** Bytes of events (`changeBytes`) that may be sent before more credit is given. */
  readonly credit: number
  readonly what: WatchSelection
  readonly starts: readonly WatchStart[]
}

const CHANGE_OVERHEAD_BYTES = 64

/**
 * What a change takes from the credit of a watch, on both ends: its value, its key in UTF-16 units,
 * and what it costs to hold.
 */
export function changeBytes(key: string, valueBytes: number): number {
  return CHANGE_OVERHEAD_BYTES + key.length + valueBytes
}

/** Writes one item of a `watch` body; the array's head comes from the caller. */
export function writeWatch(writer: WireWriter, watch: WireWatch): void {
  writer.array(4)
  writer.integer(watch.id)
  writer.integer(watch.credit)
  if (watch.what.keys === undefined) {
    writer.text(watch.what.prefix)
  } else {
    writer.array(watch.what.keys.length)
    for (const key of watch.what.keys) writeKeyName(writer, key)
  }
  writer.array(watch.starts.length)
  for (const { shard, epoch, revision, seen, frontier } of watch.starts) {
    writer.array(5)
    writer.integer(shard)
    writer.integer(epoch)
    writer.integer(revision)
    writer.integer(seen)
    if (frontier === undefined) writer.nil()
    else writeKeyName(writer, frontier)
  }
}

/** Throws `PROTOCOL` for anything that is not exactly a `watch` body. */
export function readWatches(reader: WireReader): WireWatch[] {
  const count = reader.array(WATCHES_MAX)
  const watches = Array.from({ length: count }, () => readWatch(reader))
  reader.finish()
  return watches
}

function readWatch(reader: WireReader): WireWatch {
  reader.tuple(4)
  const id = reader.unsigned()
  const credit = reader.unsigned()
  const what = readSelection(reader)
  const count = reader.array(SHARDS_MAX)
  const starts = Array.from({ length: count }, () => readStart(reader))
  return { id, credit, what, starts }
}

function readSelection(reader: WireReader): WatchSelection {
  if (reader.isText()) return { prefix: reader.text(KEY_BYTES_MAX) }
  const keys = Array.from({ length: reader.array(WATCH_KEYS_MAX) }, () => {
    const key = readKeyName(reader, KEY_BYTES_MAX)
    if (key === '') throw protocolError('a watch of an empty key')
    return key
  })
  if (keys.length === 0) throw protocolError('a watch of no keys')
  return { keys }
}

function readStart(reader: WireReader): WatchStart {
  reader.tuple(5)
  return {
    shard: reader.unsigned(),
    epoch: reader.unsigned(),
    revision: reader.unsigned(),
    seen: reader.unsigned(),
    // A frontier may be the first bound after the longest key.
    frontier: reader.skipNil() ? undefined : readKeyName(reader, KEY_BYTES_MAX + 1),
  }
}

export interface CreditGrant {
  readonly id: number
  readonly bytes: number
}

export function writeCredits(writer: WireWriter, grants: readonly CreditGrant[]): void {
  writer.array(grants.length * 2)
  for (const { id, bytes } of grants) {
    writer.integer(id)
    writer.integer(bytes)
  }
}

export function readCredits(reader: WireReader): CreditGrant[] {
  const items = reader.array(2 * WATCHES_MAX)
  if (items % 2 !== 0) throw protocolError('credit without its bytes')
  const grants = Array.from({ length: items / 2 }, () => ({
    id: reader.unsigned(),
    bytes: reader.unsigned(),
  }))
  reader.finish()
  return grants
}

export function writeUnwatches(writer: WireWriter, ids: readonly number[]): void {
  writer.array(ids.length)
  for (const id of ids) writer.integer(id)
}

export function readUnwatches(reader: WireReader): number[] {
  const ids = Array.from({ length: reader.array(WATCHES_MAX) }, () => reader.unsigned())
  reader.finish()
  return ids
}
