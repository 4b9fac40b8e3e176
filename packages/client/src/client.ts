/**
 * The calls of a client, each brought into the form of the protocol and handed to the session.
 *
 * Types are loose here: `createClient` gives users the typed interface (`KvClient`), whose methods
 * these are. Mistakes of the program come as rejections, so nothing here throws.
 */
import type { Call, ExpiryRule } from '@kv/protocol'
import { assertKey, KvError, routeHash } from '@kv/protocol'
import type { AtomicKeyspace } from './atomic.js'
import { AtomicBuilder, PLAIN_KEYSPACE } from './atomic.js'
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
import type { ConnectionSurroundings } from './connection/connection.js'
import type { ClientEvents, Listener } from './events.js'
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
import type { Present } from './listing/key-listing.js'
import type { LockOptions } from './lock/lock.js'
import { LockCalls } from './lock/lock-calls.js'
import { watchGoneOf } from './lock/watch-gone.js'
import { ManyCalls } from './many-calls.js'
import { attempt, mistakeIn, rejection } from './mistakes.js'
import { NamespaceCalls } from './namespace-calls.js'
import { RangeCalls } from './range-calls.js'
import type { FoundEntry } from './session/answers.js'
import { quoteKey } from './session/call-errors.js'
import type { CallKind } from './session/pending-call.js'
import { PendingCall } from './session/pending-call.js'
import type { SessionSettings, SessionStatus } from './session/session.js'
import { Session } from './session/session.js'
import { sleep, timebox } from './timebox.js'
import type { WriteResult } from './update.js'
import { UPDATE_RETRIES, updateEntry } from './update.js'
import type { PresentEvent } from './watch/key-watch.js'
import { KeyWatch } from './watch/key-watch.js'
import { ValueScratch, writeValue } from './value-scratch.js'

/** How a value is to be written. */
interface WriteTerms {
  readonly expiry: ExpiryRule
  readonly ifVersion: number | null | undefined
  readonly signal: AbortSignal | undefined
}

const PLAIN: WriteTerms = { expiry: { kind: 'none' }, ifVersion: undefined, signal: undefined }

type Change = (value: unknown, entry: FoundEntry | undefined) => unknown

export class Client {
  private readonly session: Session
  private readonly many: ManyCalls
  private readonly ranges: RangeCalls
  private readonly locks: LockCalls
  private readonly scratch = new ValueScratch()

  constructor(settings: SessionSettings, surroundings: ConnectionSurroundings) {
    this.session = new Session(settings, surroundings)
    this.many = new ManyCalls(this.session)
    this.ranges = new RangeCalls(this.session)
    this.locks = new LockCalls({
      session: this.session,
      many: this.many,
      watchGone: watchGoneOf(this.session),
    })
  }

  get status(): SessionStatus {
    return this.session.status
  }

  on<E extends keyof ClientEvents>(event: E, listener: Listener<E>): () => void {
    return this.session.events.on(event, listener)
  }

  async connect(options?: CallOptions): Promise<void> {
    try {
      await this.session.connect(this.deadlineOf(options, CALL_OPTIONS), options?.signal)
    } catch (error) {
      throw mistakeIn('connect', undefined, error)
    }
  }

  close(): Promise<void> {
    return this.session.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  namespace(prefix: string, options?: unknown): NamespaceCalls {
    return new NamespaceCalls(this, prefix, options)
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

  set(key: string, value: unknown, options?: SetOptions | SetIfOptions): Promise<unknown> {
    try {
      const deadline = this.deadlineOf(options, SET_OPTIONS)
      if (options === undefined) return this.write(key, value, PLAIN, deadline)
      const { signal } = options
      const terms = { expiry: expiryOf(options), ifVersion: ifVersionOf(options), signal }
      return this.write(key, value, terms, deadline)
    } catch (error) {
      return rejection('set', key, error)
    }
  }

  setMany(entries: Iterable<unknown>, options?: CallOptions): Promise<unknown> {
    return attempt('setMany', undefined, () => {
      const deadline = this.deadlineOf(options, CALL_OPTIONS)
      return this.many.set(entries, deadline, options?.signal)
    })
  }

  delete(key: string, options?: CallOptions): Promise<unknown> {
    try {
      const call = this.callOn('delete', key, this.deadlineOf(options, CALL_OPTIONS))
      return this.session.call(call, { type: 'delete', key }, options?.signal)
    } catch (error) {
      return rejection('delete', key, error)
    }
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<unknown> {
    return attempt('deleteMany', undefined, () => {
      const deadline = this.deadlineOf(options, CALL_OPTIONS)
      return this.many.delete(keys, deadline, options?.signal)
    })
  }

  deleteIf(key: string, version: number, options?: CallOptions): Promise<unknown> {
    return attempt('deleteIf', key, () => {
      const call = this.callOn('deleteIf', key, this.deadlineOf(options, CALL_OPTIONS))
      const wire: Call = { type: 'deleteIf', key, version: versionOf('version', version) }
      return this.session.call(call, wire, options?.signal)
    })
  }

  touch(key: string, ttl: number | null, options?: CallOptions): Promise<unknown> {
    return attempt('touch', key, () => {
      const call = this.callOn('touch', key, this.deadlineOf(options, CALL_OPTIONS))
      const wire: Call = { type: 'touch', key, ttlMs: ttl === null ? undefined : ttlOf(ttl) }
      return this.session.call(call, wire, options?.signal)
    })
  }

  increment(key: string, by: number = 1, options: IncrementOptions = {}): Promise<unknown> {
    return attempt('increment', key, () => {
      const call = this.callOn('increment', key, this.deadlineOf(options, INCREMENT_OPTIONS))
      const wire: Call = {
        type: 'increment',
        key,
        by: finiteOf('by', by),
        ttlMs: options.ttl === undefined ? undefined : ttlOf(options.ttl),
        min: maybeFiniteOf('min', options.min),
        max: maybeFiniteOf('max', options.max),
      }
      return this.session.call(call, wire, options.signal)
    })
  }

  update(key: string, change: Change, options: UpdateOptions = {}): Promise<unknown> {
    return attempt('update', key, () => {
      assertKey(key)
      if (typeof change !== 'function') throw new TypeError('fn is a function')
      const deadline = this.deadlineOf(options, UPDATE_OPTIONS)
      const { retries = UPDATE_RETRIES, signal } = options
      if (!(retries >= 0)) throw new TypeError('retries is a number of 0 or more')
      const expiry = expiryOf(options, { kind: 'keep' })
      signal?.throwIfAborted()
      const { clock, random } = this.session
      const ports = {
        read: async () => {
          const call = this.callOn('entry', key, deadline)
          return (await this.session.call(call, { type: 'entry', key }, signal)) as FoundEntry
        },
        write: (value: unknown, ifVersion: number | null) => {
          const terms = { expiry, ifVersion, signal }
          const written = attempt('update', key, () => this.write(key, value, terms, deadline))
          return written as Promise<WriteResult>
        },
        sleep: (ms: number) => sleep(clock, ms),
        random,
      }
      const work = updateEntry(ports, { key, retries, expiry }, change)
      return timebox(clock, work, { deadline, signal, timeoutError: () => updateTimeout(key) })
    })
  }

  watch(what: unknown, options: WatchOptions = {}): KeyWatch {
    return this.watchAs(what, options, undefined)
  }

  /** A watch for a namespace: `present` shows its events. */
  watchAs(what: unknown, options: WatchOptions, present: PresentEvent | undefined): KeyWatch {
    const { watches: hub, clock } = this.session
    return new KeyWatch(what, options, { hub, clock, present })
  }

  atomic(): AtomicBuilder {
    return this.atomicAs(PLAIN_KEYSPACE)
  }

  /** For a keyspace whose keys and values are others than those of the client. */
  atomicAs(keyspace: AtomicKeyspace): AtomicBuilder {
    const { session, many } = this
    return new AtomicBuilder({ session, many, keyspace })
  }

  lock(key: string, options: LockOptions): Promise<unknown> {
    return this.lockAs(key, key, options)
  }

  /** For a keyspace in which the key is called `name`. */
  lockAs(key: string, name: string, options: LockOptions): Promise<unknown> {
    return attempt('lock', name, () => this.locks.acquire(key, name, options))
  }

  list(options: ListOptions = {}): Listing<unknown> {
    return this.ranges.list('list', options)
  }

  keys(options: ListOptions = {}): Listing<unknown> {
    return this.ranges.list('keys', options)
  }

  /** As `list` and `keys`, each item in the form that `present` gives it. */
  listAs(call: 'list' | 'keys', options: ListOptions, present: Present): Listing<unknown> {
    return this.ranges.list(call, options, present)
  }

  count(range: Range & ReadOptions = {}): Promise<number> {
    return this.sum('count', range, range)
  }

  clear(options: ClearOptions): Promise<number> {
    return attempt('clear', undefined, () => this.sum('clear', clearedRange(options), options))
  }

  /** How many keys the range has, or had: `clear` deletes them. */
  async sum(call: 'count' | 'clear', range: Range, options: CallOptions): Promise<number> {
    try {
      const terms = this.termsOf(options, call === 'count' ? COUNT_OPTIONS : CLEAR_OPTIONS)
      return await this.ranges.sum(call, range, terms)
    } catch (error) {
      throw mistakeIn(call, undefined, error)
    }
  }

  private read(
    kind: ReadKind,
    name: string,
    key: string,
    options: ReadOptions | undefined,
  ): Promise<unknown> {
    try {
      const call = this.callOn(kind, key, this.deadlineOf(options, READ_OPTIONS))
      if (options !== undefined) call.isReplica = isReplicaRead(options.consistency)
      return this.session.call(call, { type: kind, key }, options?.signal)
    } catch (error) {
      return rejection(name, key, error)
    }
  }

  private readMany(
    kind: ReadKind,
    name: string,
    keys: readonly string[],
    options: ReadOptions | undefined,
  ): Promise<unknown> {
    return attempt(name, undefined, () =>
      this.many.read(kind, keys, this.termsOf(options, READ_OPTIONS)),
    )
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
    const scratch = this.scratch.take()
    try {
      writeValue(scratch, key, value, this.session.valueBytesMax)
      const { bytes: source, position: end } = scratch
      const wire: Call = { type: 'set', key, source, start: 0, end, expiry, ifVersion }
      return this.session.call(call, wire, signal)
    } finally {
      this.scratch.giveBack(scratch)
    }
  }

  private callOn(kind: CallKind, key: string, deadline: number): PendingCall {
    assertKey(key)
    return new PendingCall(kind, key, routeHash(key), deadline)
  }

  private deadlineOf(options: CallOptions | undefined, known: KnownOptions): number {
    if (options === undefined) return this.session.deadlineIn()
    assertOptions(options, known)
    return this.session.deadlineIn(timeoutOf(options.timeout))
  }
}

function clearedRange(options: ClearOptions | undefined): Range {
  const { prefix, all } = (options ?? {}) as { prefix?: unknown; all?: unknown }
  if (typeof prefix === 'string' && prefix !== '' && all === undefined) return { prefix }
  if (all === true && prefix === undefined) return {}
  throw new TypeError('give it { prefix }, not empty, or { all: true }')
}

type ReadKind = 'get' | 'entry' | 'has'

function updateTimeout(key: string): KvError {
  return new KvError(
    'TIMEOUT',
    `update of ${quoteKey(key)} did not end in time; its last write may still be applied: ` +
      'read before repeating it',
  )
}
