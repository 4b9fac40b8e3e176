/**
 * The records of the log: what a frame's body is made of.
 *
 * An entry is one atomic unit and has one revision. It holds *decided effects*, never operations
 * or conditions, so that replay evaluates nothing and every copy ends equal. Layout, as one
 * MessagePack array:
 *
 *   [kind, client id, sequence number, low-water mark, result kind, [effect, …]]
 *
 * and an effect is `[number, key, …]`. Where the answer can't be told from the effects, it follows them
 * as a binary. Whoever meets an unknown kind stops: a record is never
 * skipped. The client's numbers and the result kind are what exactly-once retries are judged by.
 */
import type { WireWriter } from '@kv/protocol'
import { protocolError, readKeyName, WireReader, writeKeyName } from '@kv/protocol'
import type { Held, LiveHeld } from '../held.js'
import { tombstone } from '../held.js'

/** Entry kinds. 16 to 18 are reserved for commits across shards. */
export const ENTRY_KINDS = {
  write: 1,
  /** First entry of an epoch: no effects; after it the inherited tail is committed. */
  epochStart: 2,
  /** Sessions were forgotten: client ids stand where the effects would. */
  sessionEviction: 3,
  noop: 4,
  prepare: 16,
  commit: 17,
  abort: 18,
} as const

/** How a retry's answer is derived from the entry. */
export const RESULT_KINDS = {
  none: 0,
  /** The version, which is the revision. */
  version: 1,
  /** `true`: something was deleted or touched. */
  done: 2,
  /** The counter: value, version and expiry are in the effect. */
  counter: 3,
  /** The number of effects, for a step of `clear` that reached the end of its range. */
  count: 4,
  /** The answer stands behind the effects. */
  stored: 5,
} as const

const EFFECTS = { put: 1, delete: 2, expire: 3, touch: 4 } as const

const EFFECTS_MAX = 1_048_576
const KEY_BYTES_MAX = 65_536
const VALUE_BYTES_MAX = 0x7fff_ffff
const EVICTED_MAX = 1_048_576

export interface EntryHead {
  readonly kind: (typeof ENTRY_KINDS)[keyof typeof ENTRY_KINDS]
  readonly clientId: number
  readonly sequence: number
  readonly lowWater: number
  readonly resultKind: (typeof RESULT_KINDS)[keyof typeof RESULT_KINDS]
}

/** Begins an entry; `effectCount` effects must follow, and a `stored` answer. */
export function writeEntryHead(writer: WireWriter, head: EntryHead, effectCount: number): void {
  writer.array(head.resultKind === RESULT_KINDS.stored ? 7 : 6)
  writer.integer(head.kind)
  writer.integer(head.clientId)
  writer.integer(head.sequence)
  writer.integer(head.lowWater)
  writer.integer(head.resultKind)
  writer.array(effectCount)
}

/** Writes the answer of an entry whose result kind is `stored`. */
export function writeStoredAnswer(writer: WireWriter, answer: Uint8Array): void {
  writer.binary(answer)
}

/** Writes the entry that forgets the sessions of these clients. */
export function writeEviction(writer: WireWriter, clientIds: readonly number[]): void {
  const head = { kind: ENTRY_KINDS.sessionEviction, clientId: 0, sequence: 0, lowWater: 0 }
  writeEntryHead(writer, { ...head, resultKind: RESULT_KINDS.none }, clientIds.length)
  for (const clientId of clientIds) writer.integer(clientId)
}

/** A value to be stored under a key: `source[start, end)`. */
export interface Put {
  readonly key: string
  readonly source: Uint8Array
  readonly start: number
  readonly end: number
  readonly expiresAt: number
}

/** Writes a put and returns the entry it makes, whose value lies in the writer's memory. */
export function writePut(writer: WireWriter, put: Put, version: number): LiveHeld {
  const { expiresAt } = put
  writer.array(4)
  writer.integer(EFFECTS.put)
  writeKeyName(writer, put.key)
  writer.integer(expiresAt)
  writer.binary(put.source, put.start, put.end)
  const end = writer.position
  return { version, expiresAt, memory: writer, start: end - (put.end - put.start), end }
}

/** Writes the end of a key: asked for, or because its time was over. */
export function writeRemoval(writer: WireWriter, key: string, reason: 'delete' | 'expire'): void {
  writer.array(2)
  writer.integer(EFFECTS[reason])
  writeKeyName(writer, key)
}

/** Writes a new expiry for an entry that otherwise stays as it is. */
export function writeTouch(writer: WireWriter, key: string, expiresAt: number): void {
  writer.array(3)
  writer.integer(EFFECTS.touch)
  writeKeyName(writer, key)
  writer.integer(expiresAt)
}

export type Effect =
  | { readonly type: 'put'; readonly key: string; readonly held: LiveHeld }
  | { readonly type: 'delete' | 'expire'; readonly key: string; readonly held: Held }
  | { readonly type: 'touch'; readonly key: string; readonly expiresAt: number }

/** What an entry says besides its effects. */
export interface ReadEntry {
  readonly revision: number
  readonly kind: number
  readonly clientId: number
  readonly sequence: number
  readonly lowWater: number
  readonly resultKind: number
  /** Clients whose sessions it evicts. */
  readonly evicted: readonly number[]
  /** Of the result kind `stored`; a view of the body. */
  readonly answer: Uint8Array | undefined
}

const NOBODY: readonly number[] = []

/**
 * Reads the entries of a frame's body in order and hands out their effects, and after those of
 * each entry the entry itself. `held` entries refer to `body`, which must stay as it is. Throws on
 * whatever is not exactly a record.
 */
export function readEntries(
  body: Uint8Array,
  count: number,
  firstRevision: number,
  onEffect: (effect: Effect, revision: number) => void,
  onEntry?: (entry: ReadEntry) => void,
): void {
  const reader = new WireReader(body)
  const memory = { bytes: body }
  for (let revision = firstRevision; revision < firstRevision + count; revision += 1) {
    // Field by field into one object: this is most of what a backup does per write.
    const fields = reader.array(7)
    const kind = readKind(reader)
    const clientId = reader.unsigned()
    const sequence = reader.unsigned()
    const lowWater = reader.unsigned()
    const resultKind = reader.unsigned()
    const isStored = resultKind === RESULT_KINDS.stored
    if (fields !== (isStored ? 7 : 6)) throw protocolError(`an entry has ${fields} fields`)
    let evicted = NOBODY
    if (kind === ENTRY_KINDS.sessionEviction) evicted = readEvicted(reader)
    else readEffects(reader, memory, revision, onEffect)
    const answer = isStored ? reader.binary(VALUE_BYTES_MAX) : undefined
    onEntry?.({
      revision,
      kind,
      clientId,
      sequence,
      lowWater,
      resultKind,
      evicted,
      answer,
    })
  }
  reader.finish()
}

function readKind(reader: WireReader): number {
  const kind = reader.unsigned()
  if (kind < ENTRY_KINDS.write || kind > ENTRY_KINDS.noop) {
    throw protocolError(`an entry has kind ${kind}, which this version does not know`)
  }
  return kind
}

function readEffects(
  reader: WireReader,
  memory: { bytes: Uint8Array },
  revision: number,
  onEffect: (effect: Effect, revision: number) => void,
): void {
  const count = reader.array(EFFECTS_MAX)
  for (let index = 0; index < count; index += 1) {
    onEffect(readEffect(reader, memory, revision), revision)
  }
}

function readEvicted(reader: WireReader): number[] {
  return Array.from({ length: reader.array(EVICTED_MAX) }, () => reader.unsigned())
}

function readEffect(reader: WireReader, memory: { bytes: Uint8Array }, version: number): Effect {
  const fields = reader.array(4)
  const type = reader.unsigned()
  const key = readKeyName(reader, KEY_BYTES_MAX)
  if (type === EFFECTS.put && fields === 4) {
    const expiresAt = reader.unsigned()
    const length = reader.binaryLength(VALUE_BYTES_MAX)
    const end = reader.position
    return { type: 'put', key, held: { version, expiresAt, memory, start: end - length, end } }
  }
  if (type === EFFECTS.touch && fields === 3) {
    return { type: 'touch', key, expiresAt: reader.unsigned() }
  }
  if ((type === EFFECTS.delete || type === EFFECTS.expire) && fields === 2) {
    const held = tombstone(version)
    return { type: type === EFFECTS.delete ? 'delete' : 'expire', key, held }
  }
  throw protocolError(`an effect has type ${type} with ${fields} fields`)
}
