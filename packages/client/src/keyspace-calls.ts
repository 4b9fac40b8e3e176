/**
 * The calls on a keyspace, each brought into the form of the protocol and handed to the session: on
 * that of the client, or on a namespace, which is the same by another view.
 *
 * Types are loose here: users get the typed interfaces (`Keyspace`, `Namespace`), whose methods these
 * are. Mistakes of the program come as rejections, so nothing here throws.
 */
import type { Call, ExpiryRule } from '@kv/protocol'
import { assertKey, KvError, routeHash } from '@kv/protocol'
import { AtomicBuilder } from './atomic.js'
import type { ReadTerms } from './call-options.js'
import {
  expiryOf,
  finiteOf,
  ifVersionOf,
  isReplicaRead,
  maybeFiniteOf,
  timeoutOf,
  ttlOf,
  versionOf,
} from './call-options.js'
import type { KeyView } from './key-view.js'
import type {
  CallOptions,
  ClearOptions,
  IncrementOptions,
  Listing,
  ListOptions,
  Range,
  ReadOptions,
  SetIfOptions,
  SetOptions,
  UpdateOptions,
  WatchOptions,
} from './keyspace.js'
import {
  assertOptions,
  CALL_OPTIONS,
  CLEAR_OPTIONS,
  COUNT_OPTIONS,
  INCREMENT_OPTIONS,
  READ_OPTIONS,
  SET_OPTIONS,
  UPDATE_OPTIONS,
} from './known-options.js'
import type { KnownOptions } from './known-options.js'
import type { LockOptions } from './lock/lock.js'
import type { LockCalls } from './lock/lock-calls.js'
import type { ManyCalls } from './many-calls.js'
import { assertIterable } from './many-calls.js'
import { attempt, mistakeIn, rejection } from './mistakes.js'
import type { RangeCalls } from './range-calls.js'
import type { FoundEntry } from './session/answers.js'
import { quoteKey, READ_FIRST } from './session/call-errors.js'
import type { CallKind } from './session/pending-call.js'
import { PendingCall } from './session/pending-call.js'
import type { Session } from './session/session.js'
import { sleep, timebox } from './timebox.js'
import type { WriteResult } from './update.js'
import { UPDATE_RETRIES, updateEntry } from './update.js'
import { KeyWatch } from './watch/key-watch.js'
import type { ValueScratch } from './value-scratch.js'
import { writeValue } from './value-scratch.js'

/** How a value is to be written. */
interface WriteTerms {
  readonly expiry: ExpiryRule
  readonly ifVersion: number | null | undefined
  readonly signal: AbortSignal | undefined
}

const PLAIN: WriteTerms = { expiry: { kind: 'none' }, ifVersion: undefined, signal: undefined }

type Change = (value: unknown, entry: FoundEntry | undefined) => unknown

/** What all keyspaces of a client share. */
export interface CallParts {
  readonly session: Session
  readonly many: ManyCalls
  readonly ranges: RangeCalls
  readonly locks: LockCalls
  readonly scratch: ValueScratch
}

export class KeyspaceCalls {
  protected readonly session: Session
  private readonly parts: CallParts
  private readonly view: KeyView

  constructor(parts: CallParts, view: KeyView) {
    this.session = parts.session
    this.parts = parts
    this.view = view
  }

  namespace(prefix: string, options?: unknown): KeyspaceCalls {
    return new KeyspaceCalls(this.parts, this.view.namespace(prefix, options))
  }

  get(key: string, options?: ReadOptions): Promise<unknown> {
    return this.read('get', 'get', key, options)
  }

  getEntry(key: string, options?: ReadOptions): Promise<unknown> {
    return this.read('entry', 'getEntry', key, options)
  }

  has(key: string, options?: ReadOptions): Promise<unknown> {
    return this.read('has', 'has', key, options)
  }

  getMany(keys: readonly string[], options?: ReadOptions): Promise<unknown> {
    return this.readMany('get', 'getMany', keys, options)
  }

  getEntries(keys: readonly string[], options?: ReadOptions): Promise<unknown> {
    return this.readMany('entry', 'getEntries', keys, options)
  }

  hasMany(keys: readonly string[], options?: ReadOptions): Promise<unknown> {
    return this.readMany('has', 'hasMany', keys, options)
  }

  set(name: string, value: unknown, options?: SetOptions | SetIfOptions): Promise<unknown> {
    const { view } = this
    const key = view.full(name)
    try {
      const deadline = this.deadlineOf(options, SET_OPTIONS)
      const stored = view.stored(name, value)
      if (options === undefined) return this.write(key, stored, PLAIN, deadline)
      const { signal } = options
      const ifVersion = ifVersionOf(options)
      const terms = { expiry: expiryOf(options), ifVersion, signal }
      const written = this.write(key, stored, terms, deadline)
      return view.isPlain || ifVersion === undefined ? written : view.shownRefusal(written)
    } catch (error) {
      return rejection('set', key, error)
    }
  }

  setMany(entries: Iterable<unknown>, options?: CallOptions): Promise<unknown> {
    return attempt('setMany', undefined, () => {
      const { deadline, signal } = this.termsOf(options, CALL_OPTIONS)
      assertIterable(entries)
      const { view, parts } = this
      return parts.many.set(view.isPlain ? entries : view.fullEntries(entries), deadline, signal)
    })
  }

  delete(name: string, options?: CallOptions): Promise<unknown> {
    const key = this.view.full(name)
    try {
      const call = this.callOn('delete', key, this.deadlineOf(options, CALL_OPTIONS))
      return this.session.call(call, { type: 'delete', key }, options?.signal)
    } catch (error) {
      return rejection('delete', key, error)
    }
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<unknown> {
    return attempt('deleteMany', undefined, () => {
      const { deadline, signal } = this.termsOf(options, CALL_OPTIONS)
      return this.parts.many.delete(this.view.fullKeys(keys), deadline, signal)
    })
  }

  deleteIf(name: string, version: number, options?: CallOptions): Promise<unknown> {
    const made = this.make('deleteIf', name, options, CALL_OPTIONS, (key) => ({
      type: 'deleteIf',
      key,
      version: versionOf('version', version),
    }))
    return this.view.isPlain ? made : this.view.shownRefusal(made)
  }

  touch(name: string, ttl: number | null, options?: CallOptions): Promise<unknown> {
    return this.make('touch', name, options, CALL_OPTIONS, (key) => ({
      type: 'touch',
      key,
      ttlMs: ttl === null ? undefined : ttlOf(ttl),
    }))
  }

  increment(name: string, by: number = 1, options: IncrementOptions = {}): Promise<unknown> {
    return this.make('increment', name, options, INCREMENT_OPTIONS, (key) => ({
      type: 'increment',
      key,
      by: finiteOf('by', by),
      ttlMs: options.ttl === undefined ? undefined : ttlOf(options.ttl),
      min: maybeFiniteOf('min', options.min),
      max: maybeFiniteOf('max', options.max),
    }))
  }

  update(name: string, change: Change, options: UpdateOptions = {}): Promise<unknown> {
    const { session, view } = this
    const key = view.full(name)
    return attempt('update', key, () => {
      assertKey(key)
      if (typeof change !== 'function') throw new TypeError('fn is a function')
      const deadline = this.deadlineOf(options, UPDATE_OPTIONS)
      const { retries = UPDATE_RETRIES, signal } = options
      if (!(retries >= 0)) throw new TypeError('retries is a number of 0 or more')
      const expiry = expiryOf(options, { kind: 'keep' })
      signal?.throwIfAborted()
      const { clock, random } = session
      const ports = {
        read: async () => {
          const call = this.callOn('entry', key, deadline)
          return (await session.call(call, { type: 'entry', key }, signal)) as FoundEntry
        },
        write: (value: unknown, ifVersion: number | null) => {
          const terms = { expiry, ifVersion, signal }
          const written = attempt('update', key, () => this.write(key, value, terms, deadline))
          return written as Promise<WriteResult>
        },
        sleep: (ms: number) => sleep(clock, ms),
        random,
      }
      const work = updateEntry(ports, { key, retries, expiry }, async (_, entry) => {
        const shown = view.shown(entry)
        const value = await change(shown?.value, shown)
        return value === undefined ? undefined : view.stored(name, value)
      })
      const timeoutError = (): KvError => updateTimeout(key)
      const entry = timebox(clock, work, { deadline, signal, timeoutError })
      return view.isPlain ? entry : entry.then((found) => view.shown(found))
    })
  }

  watch(what: unknown, options: WatchOptions = {}): KeyWatch {
    const { session, view } = this
    const { watches: hub, clock } = session
    const present = view.isPlain ? undefined : view.shownEvent.bind(view)
    return new KeyWatch(view.watched(what), options, { hub, clock, present })
  }

  atomic(): AtomicBuilder {
    const { session, many } = this.parts
    return new AtomicBuilder({ session, many, keyspace: this.view })
  }

  lock(name: string, options: LockOptions): Promise<unknown> {
    const key = this.view.full(name)
    return attempt('lock', key, () => this.parts.locks.acquire(key, name, options))
  }

  list(options: ListOptions = {}): Listing<unknown> {
    return this.listing('list', options)
  }

  keys(options: ListOptions = {}): Listing<unknown> {
    return this.listing('keys', options)
  }

  private listing(call: 'list' | 'keys', options: ListOptions): Listing<unknown> {
    const { view } = this
    const present = view.isPlain ? undefined : view.shownItem.bind(view)
    return this.parts.ranges.list(call, view.fullRange(options), present)
  }

  count(range: Range & ReadOptions = {}): Promise<number> {
    return this.sum('count', () => this.view.fullRange(range), range)
  }

  clear(options?: ClearOptions): Promise<number> {
    return this.sum('clear', () => this.view.cleared(options), options)
  }

  private async sum(
    call: 'count' | 'clear',
    rangeOf: () => Range,
    options: CallOptions | undefined,
  ): Promise<number> {
    try {
      const range = rangeOf()
      const terms = this.termsOf(options, call === 'count' ? COUNT_OPTIONS : CLEAR_OPTIONS)
      return await this.parts.ranges.sum(call, range, terms)
    } catch (error) {
      throw mistakeIn(call, undefined, error)
    }
  }

  private read(
    kind: ReadKind,
    call: string,
    name: string,
    options: ReadOptions | undefined,
  ): Promise<unknown> {
    const { view } = this
    const key = view.full(name)
    try {
      const pending = this.callOn(kind, key, this.deadlineOf(options, READ_OPTIONS))
      if (options !== undefined) pending.isReplica = isReplicaRead(options.consistency)
      const found = this.session.call(pending, { type: kind, key }, options?.signal)
      return view.isPlain ? found : found.then((one) => this.shown(kind, name, one))
    } catch (error) {
      return rejection(call, key, error)
    }
  }

  private readMany(
    kind: ReadKind,
    call: string,
    names: readonly string[],
    options: ReadOptions | undefined,
  ): Promise<unknown> {
    return attempt(call, undefined, () => {
      const { view, parts } = this
      const terms = this.termsOf(options, READ_OPTIONS)
      const found = parts.many.read(kind, view.fullKeys(names), terms) as Promise<unknown[]>
      if (view.isPlain) return found
      return found.then((all) => all.map((one, at) => this.shown(kind, names[at]!, one)))
    })
  }

  private shown(kind: ReadKind, name: string, found: unknown): unknown {
    if (kind === 'has') return found
    return kind === 'get'
      ? this.view.shownValue(name, found)
      : this.view.shown(found as FoundEntry | undefined)
  }

  /** Makes a write of one key; `wireOf` brings it into the form of the protocol, or throws. */
  private make(
    call: string,
    name: string,
    options: CallOptions | undefined,
    known: KnownOptions,
    wireOf: (key: string) => Call,
  ): Promise<unknown> {
    const key = this.view.full(name)
    try {
      const wire = wireOf(key)
      const pending = this.callOn(wire.type, key, this.deadlineOf(options, known))
      return this.session.call(pending, wire, options?.signal)
    } catch (error) {
      return rejection(call, key, error)
    }
  }

  private termsOf(options: ReadOptions | undefined, known: KnownOptions): ReadTerms {
    const deadline = this.deadlineOf(options, known)
    return { deadline, signal: options?.signal, isReplica: isReplicaRead(options?.consistency) }
  }

  private write(
    key: string,
    value: unknown,
    { expiry, ifVersion, signal }: WriteTerms,
    deadline: number,
  ): Promise<unknown> {
    const call = this.callOn('set', key, deadline)
    call.isConditional = ifVersion !== undefined
    const scratch = this.parts.scratch.take()
    try {
      writeValue(scratch, key, value, this.session.valueBytesMax)
      const { bytes: source, position: end } = scratch
      const wire: Call = { type: 'set', key, source, start: 0, end, expiry, ifVersion }
      return this.session.call(call, wire, signal)
    } finally {
      this.parts.scratch.giveBack(scratch)
    }
  }

  private callOn(kind: CallKind, key: string, deadline: number): PendingCall {
    assertKey(key)
    return new PendingCall(kind, key, routeHash(key), deadline)
  }

  protected deadlineOf(options: CallOptions | undefined, known: KnownOptions): number {
    if (options === undefined) return this.session.deadlineIn()
    assertOptions(options, known)
    return this.session.deadlineIn(timeoutOf(options.timeout))
  }
}

type ReadKind = 'get' | 'entry' | 'has'

function updateTimeout(key: string): KvError {
  return new KvError(
    'TIMEOUT',
    `update of ${quoteKey(key)} did not end in time, and its last write was sent; ${READ_FIRST}`,
  )
}
