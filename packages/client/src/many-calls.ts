/**
 * Calls on many keys at once: one position in a batch for each key, one promise for all.
 */
import type { DeleteCall, ExpiryRule, SetCall } from '@kv/protocol'
import { assertKey, KvError, WireWriter } from '@kv/protocol'
import { watchAbort } from './abort-watch.js'
import type { ReadTerms } from './call-options.js'
import { expiryOf } from './call-options.js'
import { Gathering, gatheredError } from './gathering.js'
import type { GatheringOptions } from './gathering.js'
import { assertOptions, ENTRY_FIELDS } from './known-options.js'
import { mistakeIn } from './mistakes.js'
import type { ReadOfMany } from './session/key-run.js'
import type { CallGroup, PendingCall } from './session/pending-call.js'
import { keyCall } from './session/pending-call.js'
import type { Session } from './session/session.js'
import { writeValue } from './value-scratch.js'

/** A write that is ready to be made, or the reason why it can't be. */
type Staged<T> = T | KvError

interface StagedValue {
  readonly key: string
  /** In the memory of the whole `setMany`. */
  readonly start: number
  readonly end: number
  readonly expiry: ExpiryRule
}

interface ManyOptions extends Omit<GatheringOptions, 'submit'> {
  readonly signal: AbortSignal | undefined
  /**
   * Makes a call, to be settled in `group`. Returns it, or nothing if the one before stands for it.
   * Throws the `KvError` of a call that can't be made.
   */
  readonly make: (index: number, group: CallGroup) => PendingCall | undefined
}

export class ManyCalls {
  private readonly session: Session

  constructor(session: Session) {
    this.session = session
  }

  /** Answers in the order of `keys`; fails as soon as one does. */
  read(
    kind: 'get' | 'entry' | 'has',
    keys: unknown,
    { deadline, signal, isReplica }: ReadTerms,
  ): Promise<unknown> {
    const asked = keysOf(keys)
    for (const key of asked) assertKey(key)
    let read: ReadOfMany | undefined
    return this.gather({
      signal,
      count: asked.length,
      failsFast: true,
      finish: (results) => results,
      make: (index, group) => {
        read ??= { kind, keys: asked, key: asked[0]!, deadline, isReplica, group }
        return this.session.submitKey(read, index)
      },
    })
  }

  delete(keys: unknown, deadline: number, signal: AbortSignal | undefined): Promise<unknown> {
    const staged = keysOf(keys).map((key) => staging(() => checkedKey(key)))
    return this.gather({
      signal,
      count: staged.length,
      failsFast: false,
      finish: (results, errors) => {
        if (errors.size === 0) return results
        const parts = results.map((deleted) => ({ ok: true, deleted }))
        throw gatheredError('deletes', parts, errors)
      },
      make: (index, group) => {
        const key = unstaged(staged[index]!)
        return this.write({ type: 'delete', key }, deadline, index, group)
      },
    })
  }

  /** The values are encoded before anything is sent, so that they are taken as they are now. */
  set(entries: unknown, deadline: number, signal: AbortSignal | undefined): Promise<unknown> {
    assertIterable(entries)
    const memory = new WireWriter()
    const staged = Array.from(entries, (entry) => staging(() => this.stage(memory, entry)))
    return this.gather({
      signal,
      count: staged.length,
      failsFast: false,
      finish: (results, errors) => {
        if (errors.size === 0) return results
        throw gatheredError('writes', results, errors)
      },
      make: (index, group) => {
        const { key, start, end, expiry } = unstaged(staged[index]!)
        const { bytes: source } = memory
        const wire: SetCall = { type: 'set', key, source, start, end, expiry, ifVersion: undefined }
        return this.write(wire, deadline, index, group)
      },
    })
  }

  private write(
    wire: SetCall | DeleteCall,
    deadline: number,
    index: number,
    group: CallGroup,
  ): PendingCall {
    const call = keyCall({ kind: wire.type, deadline, isReplica: false, group }, wire.key, index)
    this.session.submit(call, wire)
    return call
  }

  private stage(memory: WireWriter, entry: unknown): StagedValue {
    // A namespace gives one in place of an entry that its schema refuses.
    if (entry instanceof KvError) throw entry
    const { key, value, ttl } = partsOf(entry)
    try {
      const expiry = expiryOf({ ttl })
      assertKey(key)
      const start = memory.position
      writeValue(memory, key, value, this.session.valueBytesMax)
      return { key, start, end: memory.position, expiry }
    } catch (error) {
      throw mistakeIn('the entry', key, error)
    }
  }

  private gather(many: ManyOptions): Promise<unknown> {
    const { session } = this
    const { signal } = many
    signal?.throwIfAborted()
    const abortable: PendingCall[] = []
    const gathering = new Gathering({
      ...many,
      submit: (index, group) => {
        const call = many.make(index, group)
        if (call === undefined) return 0
        group.openCount += 1
        if (signal !== undefined) abortable.push(call)
        return call.end - call.start
      },
    })
    if (signal !== undefined) {
      const forget = watchAbort(signal, () => {
        gathering.abandon(signal.reason)
        for (const call of abortable) session.cancel(call)
      })
      gathering.promise.then(forget, forget)
    }
    gathering.submitSlice()
    return gathering.promise
  }
}

function keysOf(keys: unknown): string[] {
  // Not any iterable: a string is one, and its characters are not meant.
  if (!Array.isArray(keys)) throw new TypeError('keys is an array of keys')
  return keys.slice() as string[]
}

/** Throws `TypeError` for what can't hold the entries of `setMany`. */
export function assertIterable(entries: unknown): asserts entries is Iterable<unknown> {
  const isObject = typeof entries === 'object' && entries !== null
  if (!isObject || !(Symbol.iterator in entries)) throw new TypeError('entries is an iterable')
}

function checkedKey(key: unknown): string {
  assertKey(key)
  return key
}

export interface EntryParts {
  readonly key: unknown
  readonly value: unknown
  readonly ttl?: unknown
}

/** Throws `TypeError` for what is no entry of `setMany`. */
export function partsOf(entry: unknown): EntryParts {
  if (Array.isArray(entry)) return { key: entry[0], value: entry[1] }
  if (typeof entry === 'object' && entry !== null && 'key' in entry) {
    assertOptions(entry, ENTRY_FIELDS)
    return entry as EntryParts
  }
  throw new TypeError('an entry is [key, value] or { key, value, ttl? }')
}

/** A `KvError` is the failure of one write; anything else thrown is the failure of the whole. */
function staging<T>(prepare: () => T): Staged<T> {
  try {
    return prepare()
  } catch (error) {
    if (error instanceof KvError) return error
    throw error
  }
}

function unstaged<T>(staged: Staged<T>): T {
  if (staged instanceof KvError) throw staged
  return staged
}
