/**
 * The call `atomic`: operations on keys of one shard, all of them or none, as one entry of the log.
 *
 * An operation is written as the call of its name in a batch of writes, short forms included, or is
 * a check, which stands nowhere else.
 */
import type { DeleteCall, IncrementCall, SetCall, TouchCall } from './calls.js'
import { protocolError } from './errors.js'
import { ATOMIC_OPERATIONS_MAX } from './limits.js'
import { shardOf } from './keys.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** Number of a check. Among those of calls that change nothing, though it is no call by itself. */
export const CHECK_TAG = 5

/** Holds if the key has this version before the batch; `null`: if it does not exist. */
export interface AtomicCheck {
  readonly type: 'check'
  readonly key: string
  readonly version: number | null
}

/** A `set` has no `ifVersion` here: that is what checks are for. */
export type AtomicOperation = AtomicCheck | SetCall | DeleteCall | TouchCall | IncrementCall

export interface AtomicCall {
  readonly type: 'atomic'
  /** That of the first operation: it routes the call. */
  readonly key: string
  /** At least one, at most `ATOMIC_OPERATIONS_MAX`. */
  readonly operations: readonly AtomicOperation[]
}

export function atomicCall(operations: readonly AtomicOperation[]): AtomicCall {
  const [first] = operations
  if (first === undefined) throw protocolError('an atomic batch without operations')
  return { type: 'atomic', key: first.key, operations }
}

export function writeOperations(
  writer: WireWriter,
  operations: readonly AtomicOperation[],
  writeCall: (writer: WireWriter, call: Exclude<AtomicOperation, AtomicCheck>) => void,
): void {
  writer.array(operations.length)
  for (const operation of operations) {
    if (operation.type === 'check') writeCheck(writer, operation)
    else writeCall(writer, operation)
  }
}

function writeCheck(writer: WireWriter, { key, version }: AtomicCheck): void {
  writer.array(3)
  writer.integer(CHECK_TAG)
  writer.text(key)
  // Versions are positive, so 0 is free to say «must not exist».
  writer.integer(version ?? 0)
}

/** The calls that are operations too. */
export const OPERATION_CALLS = ['set', 'delete', 'touch', 'increment'] as const

export interface OperationReaders {
  readonly key: (reader: WireReader) => string
  /**
   * Whether the call of this number is an operation too. Not a set made beforehand: bundlers keep
   * what makes it, and with it all that reads calls, which a page never does.
   */
  readonly isOperation: (tag: number) => boolean
  readonly call: (reader: WireReader) => Exclude<AtomicOperation, AtomicCheck>
}

export function readAtomic(reader: WireReader, readers: OperationReaders): AtomicCall {
  const count = reader.array(ATOMIC_OPERATIONS_MAX)
  return atomicCall(Array.from({ length: count }, () => readOperation(reader, readers)))
}

/** What is no operation is refused before it is read: an `atomic` in it would be read in turn. */
function readOperation(reader: WireReader, readers: OperationReaders): AtomicOperation {
  const start = reader.position
  if (reader.isArray()) {
    const fields = reader.array(8)
    if (!reader.isText()) {
      const tag = reader.unsigned()
      if (tag === CHECK_TAG && fields === 3) return readCheck(reader, readers)
      if (!readers.isOperation(tag)) throw protocolError(`an atomic batch holds call ${tag}`)
    }
    reader.position = start
  }
  return unconditional(readers.call(reader))
}

function readCheck(reader: WireReader, { key }: OperationReaders): AtomicCheck {
  const checked = key(reader)
  const version = reader.unsigned()
  return { type: 'check', key: checked, version: version === 0 ? null : version }
}

function unconditional(operation: Exclude<AtomicOperation, AtomicCheck>): AtomicOperation {
  if (operation.type !== 'set' || operation.ifVersion === undefined) return operation
  throw protocolError('an atomic batch holds a set with a condition')
}

/** Keys that an error names. */
const KEYS_NAMED_MAX = 5
const KEY_CHARACTERS_NAMED_MAX = 80

/**
 * What is wrong if the keys of a batch are not all in one shard: an error's message that names
 * one key of each.
 */
export function crossShardProblem(
  operations: readonly AtomicOperation[],
  shardCount: number,
): string | undefined {
  const [first] = operations
  if (first === undefined) return undefined
  const home = shardOf(first.key, shardCount)
  if (operations.every(({ key }) => shardOf(key, shardCount) === home)) return undefined
  const keyByShard = new Map(operations.map(({ key }) => [shardOf(key, shardCount), key]))
  keyByShard.set(home, first.key)
  const named = [...keyByShard.values()].slice(0, KEYS_NAMED_MAX).map(quoted)
  const more = keyByShard.size > KEYS_NAMED_MAX ? ' and others' : ''
  return (
    `the keys of an atomic batch must be in one shard, but ${named.join(', ')}${more} are in ` +
    'different ones: give all of them the same {tag}, as in "{order:7}.items" and "{order:7}.total"'
  )
}

function quoted(key: string): string {
  const isLong = key.length > KEY_CHARACTERS_NAMED_MAX
  return JSON.stringify(isLong ? `${key.slice(0, KEY_CHARACTERS_NAMED_MAX)}…` : key)
}
