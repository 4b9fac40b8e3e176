/**
 * The calls a batch carries, each in its shortest form on the wire.
 *
 * A plain `get` is its key; a plain `set` is `[key, value]` and a plain `delete` its key, the same
 * bytes in a batch of writes. Everything else is `[number, …]`. Values travel as the bytes the
 * client encoded; the node hands them on by position, without a view of its own for each.
 */
import type { AtomicCall, OperationReaders } from './atomic-call.js'
import { OPERATION_CALLS, readAtomic, writeOperations } from './atomic-call.js'
import { protocolError } from './errors.js'
import type { LockCall, UnlockCall } from './lock-call.js'
import { readLock, readUnlock, writeLock, writeUnlock } from './lock-call.js'
import { KEY_BYTES_MAX, MESSAGE_BYTES_MAX, PAGE_ENTRIES_MAX, SHARDS_MAX } from './limits.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** Call → number on the wire. Below 16 are the calls that change nothing. */
export const CALL_TAGS = {
  get: 0,
  entry: 1,
  has: 2,
  scan: 3,
  count: 4,
  set: 16,
  delete: 17,
  deleteIf: 18,
  touch: 19,
  increment: 20,
  clear: 21,
  atomic: 22,
  lock: 23,
  unlock: 24,
} as const

/** Half-open range of keys: `from` is in it, `to` is the first key beyond (none: to the end). */
export interface KeyRange {
  readonly from: string
  readonly to: string | undefined
}

/** When an entry ends: `ttl` counts from the moment the node takes the write. */
export type ExpiryRule =
  | { readonly kind: 'none' }
  | { readonly kind: 'ttl'; readonly ms: number }
  | { readonly kind: 'at'; readonly ms: number }
  | { readonly kind: 'keep' }

export interface GetCall {
  readonly type: 'get'
  readonly key: string
}
export interface EntryCall {
  readonly type: 'entry'
  readonly key: string
}
export interface HasCall {
  readonly type: 'has'
  readonly key: string
}
/** One page of a shard's entries in key order, ended by `limit`, by bytes or by effort. */
export interface ScanCall extends KeyRange {
  readonly type: 'scan'
  readonly shard: number
  readonly limit: number
  readonly reverse: boolean
  readonly keysOnly: boolean
}
/** Counts a part of the range that takes the shard about a millisecond. */
export interface CountCall extends KeyRange {
  readonly type: 'count'
  readonly shard: number
}
export interface SetCall {
  readonly type: 'set'
  readonly key: string
  /** The value is `source[start, end)`. */
  readonly source: Uint8Array
  readonly start: number
  readonly end: number
  readonly expiry: ExpiryRule
  /** Write only over this version; `null`: only if there is none. */
  readonly ifVersion: number | null | undefined
}
export interface DeleteCall {
  readonly type: 'delete'
  readonly key: string
}
export interface DeleteIfCall {
  readonly type: 'deleteIf'
  readonly key: string
  readonly version: number
}
/** Changes the expiry only; `undefined` takes it away. */
export interface TouchCall {
  readonly type: 'touch'
  readonly key: string
  readonly ttlMs: number | undefined
}
export interface IncrementCall {
  readonly type: 'increment'
  readonly key: string
  readonly by: number
  /** Applies if the counter is created. */
  readonly ttlMs: number | undefined
  readonly min: number | undefined
  readonly max: number | undefined
}
/** Deletes the first keys of the range, as one entry of the log. */
export interface ClearCall extends KeyRange {
  readonly type: 'clear'
  readonly shard: number
}

export type ReadCall = GetCall | EntryCall | HasCall | ScanCall | CountCall
export type WriteCall =
  | SetCall
  | DeleteCall
  | DeleteIfCall
  | TouchCall
  | IncrementCall
  | ClearCall
  | AtomicCall
  | LockCall
  | UnlockCall
export type Call = ReadCall | WriteCall

const OPERATION_READERS: OperationReaders = {
  key: readKey,
  isOperation: (tag) => OPERATION_CALLS.some((type) => CALL_TAGS[type] === tag),
  call: (reader) => readWriteCall(reader) as ReturnType<OperationReaders['call']>,
}

const NO_EXPIRY: ExpiryRule = { kind: 'none' }
const KEEP_EXPIRY: ExpiryRule = { kind: 'keep' }
const EXPIRY_TAGS = { none: 0, ttl: 1, at: 2, keep: 3 } as const

/** A bound may be the successor of the longest key. */
const BOUND_BYTES_MAX = KEY_BYTES_MAX + 4

/** Writes a call of a read batch: `get` in its short form. */
export function writeReadCall(writer: WireWriter, call: ReadCall): void {
  if (call.type === 'get') writer.text(call.key)
  else writeTagged(writer, call)
}

/** Writes a call of a write batch; reads may stand there too, to be answered after the writes. */
export function writeWriteCall(writer: WireWriter, call: Call): void {
  if (call.type === 'delete') {
    writer.text(call.key)
  } else if (call.type === 'set' && call.expiry.kind === 'none' && call.ifVersion === undefined) {
    writer.array(2)
    writer.text(call.key)
    writer.binary(call.source, call.start, call.end)
  } else {
    writeTagged(writer, call)
  }
}

function writeTagged(writer: WireWriter, call: Call): void {
  switch (call.type) {
    case 'get':
    case 'entry':
    case 'has':
    case 'delete':
      begin(writer, call, 1)
      writer.text(call.key)
      return
    case 'scan':
      begin(writer, call, 6)
      writeRange(writer, call.shard, call)
      writer.integer(call.limit)
      writer.boolean(call.reverse)
      writer.boolean(call.keysOnly)
      return
    case 'count':
    case 'clear':
      begin(writer, call, 3)
      writeRange(writer, call.shard, call)
      return
    case 'set':
      begin(writer, call, 5)
      writer.text(call.key)
      writer.binary(call.source, call.start, call.end)
      writer.integer(EXPIRY_TAGS[call.expiry.kind])
      writer.number('ms' in call.expiry ? call.expiry.ms : 0)
      // Versions are positive, so 0 is free to say «must not exist».
      writeOptional(writer, call.ifVersion === null ? 0 : call.ifVersion)
      return
    case 'deleteIf':
      begin(writer, call, 2)
      writer.text(call.key)
      writer.integer(call.version)
      return
    case 'touch':
      begin(writer, call, 2)
      writer.text(call.key)
      writeOptional(writer, call.ttlMs)
      return
    case 'increment':
      begin(writer, call, 5)
      writer.text(call.key)
      writer.number(call.by)
      writeOptional(writer, call.ttlMs)
      writeOptional(writer, call.min)
      writeOptional(writer, call.max)
      return
    case 'atomic':
      begin(writer, call, 1)
      writeOperations(writer, call.operations, writeWriteCall)
      return
    case 'lock':
      begin(writer, call, 5)
      writeLock(writer, call)
      return
    case 'unlock':
      begin(writer, call, 3)
      writeUnlock(writer, call)
  }
}

function begin(writer: WireWriter, call: Call, fields: number): void {
  writer.array(fields + 1)
  writer.integer(CALL_TAGS[call.type])
}

function writeRange(writer: WireWriter, shard: number, range: KeyRange): void {
  writer.integer(shard)
  writer.text(range.from)
  if (range.to === undefined) writer.nil()
  else writer.text(range.to)
}

function writeOptional(writer: WireWriter, value: number | undefined): void {
  if (value === undefined) writer.nil()
  else writer.number(value)
}

/** Reads a call of a read batch. */
export function readReadCall(reader: WireReader): ReadCall {
  if (reader.isText()) return { type: 'get', key: readKey(reader) }
  const fields = reader.array(8) - 1
  const tag = reader.unsigned()
  const call = readTagged(reader, tag, fields)
  if (!isReadCall(call)) throw protocolError(`a batch of reads holds a ${call.type}`)
  return call
}

/** Reads a call of a write batch. */
export function readWriteCall(reader: WireReader): Call {
  if (reader.isText()) return { type: 'delete', key: readKey(reader) }
  const fields = reader.array(8) - 1
  if (fields === 1 && reader.isText()) {
    const key = readKey(reader)
    const length = reader.binaryLength(MESSAGE_BYTES_MAX)
    return plainSet(key, reader.bytes, reader.position - length, reader.position)
  }
  const tag = reader.unsigned()
  return readTagged(reader, tag, fields)
}

/** The `set` without options. */
export function plainSet(key: string, source: Uint8Array, start: number, end: number): SetCall {
  return { type: 'set', key, source, start, end, expiry: NO_EXPIRY, ifVersion: undefined }
}

export function isReadCall(call: Call): call is ReadCall {
  return CALL_TAGS[call.type] < CALL_TAGS.set
}

function readTagged(reader: WireReader, tag: number, fields: number): Call {
  switch (tag) {
    case CALL_TAGS.get:
      expectFields(tag, fields, 1)
      return { type: 'get', key: readKey(reader) }
    case CALL_TAGS.entry:
      expectFields(tag, fields, 1)
      return { type: 'entry', key: readKey(reader) }
    case CALL_TAGS.has:
      expectFields(tag, fields, 1)
      return { type: 'has', key: readKey(reader) }
    case CALL_TAGS.delete:
      expectFields(tag, fields, 1)
      return { type: 'delete', key: readKey(reader) }
    case CALL_TAGS.scan:
      expectFields(tag, fields, 6)
      return readScan(reader)
    case CALL_TAGS.count:
      expectFields(tag, fields, 3)
      return { type: 'count', ...readRange(reader) }
    case CALL_TAGS.clear:
      expectFields(tag, fields, 3)
      return { type: 'clear', ...readRange(reader) }
    case CALL_TAGS.set:
      expectFields(tag, fields, 5)
      return readSet(reader)
    case CALL_TAGS.deleteIf:
      expectFields(tag, fields, 2)
      return { type: 'deleteIf', key: readKey(reader), version: reader.unsigned() }
    case CALL_TAGS.touch:
      expectFields(tag, fields, 2)
      return { type: 'touch', key: readKey(reader), ttlMs: readTtl(reader) }
    case CALL_TAGS.increment:
      expectFields(tag, fields, 5)
      return {
        type: 'increment',
        key: readKey(reader),
        by: readFinite(reader),
        ttlMs: readTtl(reader),
        min: readOptional(reader),
        max: readOptional(reader),
      }
    case CALL_TAGS.atomic:
      expectFields(tag, fields, 1)
      return readAtomic(reader, OPERATION_READERS)
    case CALL_TAGS.lock:
      expectFields(tag, fields, 5)
      return readLock(reader, readKey(reader))
    case CALL_TAGS.unlock:
      expectFields(tag, fields, 3)
      return readUnlock(reader, readKey(reader))
    default:
      throw protocolError(`no call has type ${tag}`)
  }
}

function readScan(reader: WireReader): ScanCall {
  const range = readRange(reader)
  const limit = reader.unsigned()
  if (limit < 1 || limit > PAGE_ENTRIES_MAX) throw protocolError(`a page of ${limit} entries`)
  return { type: 'scan', ...range, limit, reverse: reader.boolean(), keysOnly: reader.boolean() }
}

function readSet(reader: WireReader): SetCall {
  const key = readKey(reader)
  const length = reader.binaryLength(MESSAGE_BYTES_MAX)
  const end = reader.position
  const expiry = readExpiry(reader)
  const ifVersion = reader.skipNil() ? undefined : reader.unsigned()
  return {
    type: 'set',
    key,
    source: reader.bytes,
    start: end - length,
    end,
    expiry,
    ifVersion: ifVersion === 0 ? null : ifVersion,
  }
}

function readExpiry(reader: WireReader): ExpiryRule {
  const kind = reader.unsigned()
  const ms = readFinite(reader)
  switch (kind) {
    case EXPIRY_TAGS.none:
      return NO_EXPIRY
    case EXPIRY_TAGS.ttl:
      if (ms <= 0) throw protocolError(`a ttl of ${ms} ms`)
      return { kind: 'ttl', ms }
    case EXPIRY_TAGS.at:
      return { kind: 'at', ms }
    case EXPIRY_TAGS.keep:
      return KEEP_EXPIRY
    default:
      throw protocolError(`no expiry has kind ${kind}`)
  }
}

function readRange(reader: WireReader): KeyRange & { shard: number } {
  const shard = reader.unsigned()
  if (shard >= SHARDS_MAX) throw protocolError(`no shard has number ${shard}`)
  const from = reader.text(BOUND_BYTES_MAX)
  const to = reader.skipNil() ? undefined : reader.text(BOUND_BYTES_MAX)
  return { shard, from, to }
}

function readKey(reader: WireReader): string {
  const key = reader.text(KEY_BYTES_MAX)
  if (key.length === 0) throw protocolError('an empty key')
  return key
}

function readTtl(reader: WireReader): number | undefined {
  const ttlMs = readOptional(reader)
  if (ttlMs !== undefined && ttlMs <= 0) throw protocolError(`a ttl of ${ttlMs} ms`)
  return ttlMs
}

function readOptional(reader: WireReader): number | undefined {
  return reader.skipNil() ? undefined : readFinite(reader)
}

function readFinite(reader: WireReader): number {
  const value = reader.number()
  if (!Number.isFinite(value)) throw protocolError(`${value} where a finite number is due`)
  return value
}

function expectFields(tag: number, found: number, due: number): void {
  if (found !== due) throw protocolError(`call ${tag} has ${found} fields, ${due} are due`)
}
