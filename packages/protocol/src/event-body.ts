/**
 * The body of `event`: what a child tells a client about its watches, as one array of items.
 *
 *   [1, shard, epoch, ids, revision, index, expiresAt, key, value]   a key was set
 *   [2, shard, epoch, ids, revision, index, key]                     … deleted
 *   [3, shard, epoch, ids, revision, index, key]                     … ended with its time
 *   [4, shard, epoch, ids, revision, version, expiresAt, key, value] a current value
 *   [5, shard, epoch, ids, revision]   attached: everything up to `revision` has been told
 *   [6, shard, epoch, ids]             detached: no credit is left; what comes now comes later
 *   [7, shard, epoch, revision]        progress: attached watches have seen everything up to here
 *   [8, shard, epoch, ids, reason]     reset: the log does not reach back to where it should begin
 *   [9, shard, epoch, ids]             gone: the child does not serve the shard (any more)
 *   [10, shard, epoch, ids, code, message]  failed: the watch is refused, as a whole
 *
 * `ids` is an array of watches: one item serves all of them that a connection has. `index` counts
 * the changes of one entry from 0. `epoch` is that of `revision`. After 8, 9 and 10 nothing more
 * comes for these watches and this shard.
 */
import { clipErrorText, protocolError } from './errors.js'
import { ERROR_TEXT_BYTES_MAX, KEY_BYTES_MAX, WATCHES_MAX } from './limits.js'
import { readKeyName, writeKeyName } from './system-keys.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** Kind of item → number on the wire. */
export const EVENT_TAGS = {
  set: 1,
  delete: 2,
  expire: 3,
  current: 4,
  attached: 5,
  detached: 6,
  progress: 7,
  reset: 8,
  gone: 9,
  failed: 10,
} as const

interface Common {
  readonly shard: number
  readonly epoch: number
  readonly ids: readonly number[]
}

export interface SetEvent extends Common {
  readonly type: 'set'
  readonly revision: number
  readonly index: number
  /** 0: never. */
  readonly expiresAt: number
  readonly key: string
  /** A view of the message: copy what outlives it. */
  readonly value: Uint8Array
}

export interface RemovalEvent extends Common {
  readonly type: 'delete' | 'expire'
  readonly revision: number
  readonly index: number
  readonly key: string
}

export interface CurrentEvent extends Common {
  readonly type: 'current'
  /** Of the state that was looked at. */
  readonly revision: number
  readonly version: number
  readonly expiresAt: number
  readonly key: string
  readonly value: Uint8Array
}

export type WireEvent =
  | SetEvent
  | RemovalEvent
  | CurrentEvent
  | (Common & { readonly type: 'attached'; readonly revision: number })
  | (Common & { readonly type: 'detached' | 'gone' })
  | (Common & { readonly type: 'progress'; readonly revision: number })
  | (Common & { readonly type: 'reset'; readonly reason: string })
  | (Common & { readonly type: 'failed'; readonly code: number; readonly message: string })

/** Most items of one body. Each takes several bytes, so a message ends it earlier. */
const ITEMS_MAX = 1_048_576

const NO_IDS: readonly number[] = []

const VALUE_BYTES_MAX = 0x7fff_ffff

export function writeEvent(writer: WireWriter, event: WireEvent): void {
  switch (event.type) {
    case 'set':
    case 'current':
      beginItem(writer, event, 9)
      writer.integer(event.revision)
      writer.integer(event.type === 'set' ? event.index : event.version)
      writer.integer(event.expiresAt)
      writeKeyName(writer, event.key)
      writer.binary(event.value)
      return
    case 'delete':
    case 'expire':
      beginItem(writer, event, 7)
      writer.integer(event.revision)
      writer.integer(event.index)
      writeKeyName(writer, event.key)
      return
    case 'attached':
      beginItem(writer, event, 5)
      writer.integer(event.revision)
      return
    case 'detached':
    case 'gone':
      beginItem(writer, event, 4)
      return
    case 'progress':
      writer.array(4)
      writer.integer(EVENT_TAGS.progress)
      writer.integer(event.shard)
      writer.integer(event.epoch)
      writer.integer(event.revision)
      return
    case 'reset':
      beginItem(writer, event, 5)
      writer.text(clipErrorText(event.reason))
      return
    case 'failed':
      beginItem(writer, event, 6)
      writer.integer(event.code)
      writer.text(clipErrorText(event.message))
  }
}

function beginItem(writer: WireWriter, event: WireEvent, fields: number): void {
  writer.array(fields)
  writer.integer(EVENT_TAGS[event.type])
  writer.integer(event.shard)
  writer.integer(event.epoch)
  writer.array(event.ids.length)
  for (const id of event.ids) writer.integer(id)
}

/** Hands out the items in order. Throws `PROTOCOL` for anything that is not exactly one. */
export function readEvents(reader: WireReader, onEvent: (event: WireEvent) => void): void {
  const count = reader.array(ITEMS_MAX)
  for (let item = 0; item < count; item += 1) onEvent(readEvent(reader))
  reader.finish()
}

function readEvent(reader: WireReader): WireEvent {
  const fields = reader.array(9)
  const tag = reader.unsigned()
  if (fields !== FIELDS_BY_TAG[tag]) {
    throw protocolError(`an event of type ${tag} has ${fields} fields`)
  }
  const shard = reader.unsigned()
  const epoch = reader.unsigned()
  if (tag === EVENT_TAGS.progress) {
    return { type: 'progress', shard, epoch, ids: NO_IDS, revision: reader.unsigned() }
  }
  const ids = Array.from({ length: reader.array(WATCHES_MAX) }, () => reader.unsigned())
  return readFields(reader, tag, { shard, epoch, ids })
}

const FIELDS_BY_TAG: Readonly<Record<number, number>> = {
  1: 9,
  2: 7,
  3: 7,
  4: 9,
  5: 5,
  6: 4,
  7: 4,
  8: 5,
  9: 4,
  10: 6,
}

function readFields(reader: WireReader, tag: number, common: Common): WireEvent {
  switch (tag) {
    case EVENT_TAGS.set:
    case EVENT_TAGS.current:
      return readValueEvent(reader, tag, common)
    case EVENT_TAGS.delete:
    case EVENT_TAGS.expire: {
      const type = tag === EVENT_TAGS.delete ? 'delete' : 'expire'
      const [revision, index] = [reader.unsigned(), reader.unsigned()]
      return { type, ...common, revision, index, key: readKeyName(reader, KEY_BYTES_MAX) }
    }
    case EVENT_TAGS.attached:
      return { type: 'attached', ...common, revision: reader.unsigned() }
    case EVENT_TAGS.detached:
      return { type: 'detached', ...common }
    case EVENT_TAGS.gone:
      return { type: 'gone', ...common }
    case EVENT_TAGS.reset:
      return { type: 'reset', ...common, reason: reader.text(ERROR_TEXT_BYTES_MAX) }
    case EVENT_TAGS.failed: {
      const code = reader.unsigned()
      return { type: 'failed', ...common, code, message: reader.text(ERROR_TEXT_BYTES_MAX) }
    }
    default:
      throw protocolError(`no event has type ${tag}`)
  }
}

function readValueEvent(reader: WireReader, tag: number, common: Common): WireEvent {
  const revision = reader.unsigned()
  const second = reader.unsigned()
  const expiresAt = reader.unsigned()
  const key = readKeyName(reader, KEY_BYTES_MAX)
  const value = reader.binary(VALUE_BYTES_MAX)
  return tag === EVENT_TAGS.set
    ? { type: 'set', ...common, revision, index: second, expiresAt, key, value }
    : { type: 'current', ...common, revision, version: second, expiresAt, key, value }
}
