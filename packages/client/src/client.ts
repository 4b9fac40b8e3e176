/**
 * The calls of a client, each brought into the form of the protocol and handed to the session.
 *
 * Types are loose here: `createClient` gives users the typed interface (`KvClient`), whose methods
 * these are. Mistakes of the program come as rejections, so nothing here throws.
 */
import type { Call, ExpiryRule } from '@kv/protocol'
import { assertKey, KvError, routeHash } from '@kv/protocol'
import {
  expiryOf,
  finiteOf,
  ifVersionOf,
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
  SetIfOptions,
  SetOptions,
  UpdateOptions,
} from './keyspace.js'
import { ManyCalls } from './many-calls.js'
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
  private readonly scratch = new ValueScratch()

  constructor(settings: SessionSettings, surroundings: ConnectionSurroundings) {
    this.session = new Session(settings, surroundings)
    this.many = new ManyCalls(this.session)
    this.ranges = new RangeCalls(this.session)
  }

  get status(): SessionStatus {
    return this.session.status
  }

  on<E extends keyof ClientEvents>(event: E, listener: Listener<E>): () => void {
    return this.session.events.on(event, listener)
  }

  async connect(options?: CallOptions): Promise<void> {
    await this.session.connect(this.deadlineOf(options), options?.signal)
  }

  close(): Promise<void> {
    return this.session.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get(key: string, options?: CallOptions): Promise<unknown> {
    return this.read('get', key, options)
  }

  getEntry(key: string, options?: CallOptions): Promise<unknown> {
    return this.read('entry', key, options)
  }

  has(key: string, options?: CallOptions): Promise<unknown> {
    return this.read('has', key, options)
  }

  getMany(keys: readonly string[], options?: CallOptions): Promise<unknown> {
    return attempt(() => this.many.read('get', keys, options))
  }

  getEntries(keys: readonly string[], options?: CallOptions): Promise<unknown> {
    return attempt(() => this.many.read('entry', keys, options))
  }

  hasMany(keys: readonly string[], options?: CallOptions): Promise<unknown> {
    return attempt(() => this.many.read('has', keys, options))
  }

  set(key: string, value: unknown, options?: SetOptions | SetIfOptions): Promise<unknown> {
    try {
      const deadline = this.deadlineOf(options)
      if (options === undefined) return this.write(key, value, PLAIN, deadline)
      const { signal } = options
      const terms = { expiry: expiryOf(options), ifVersion: ifVersionOf(options), signal }
      return this.write(key, value, terms, deadline)
    } catch (error) {
      return rejection(error)
    }
  }

  setMany(entries: Iterable<unknown>, options?: CallOptions): Promise<unknown> {
    return attempt(() => this.many.set(entries, options))
  }

  delete(key: string, options?: CallOptions): Promise<unknown> {
    try {
      const call = this.callOn('delete', key, this.deadlineOf(options))
      return this.session.call(call, { type: 'delete', key }, options?.signal)
    } catch (error) {
      return rejection(error)
    }
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<unknown> {
    return attempt(() => this.many.delete(keys, options))
  }

  deleteIf(key: string, version: number, options?: CallOptions): Promise<unknown> {
    return attempt(() => {
      const call = this.callOn('deleteIf', key, this.deadlineOf(options))
      const wire: Call = { type: 'deleteIf', key, version: versionOf('version', version) }
      return this.session.call(call, wire, options?.signal)
    })
  }

  touch(key: string, ttl: number | null, options?: CallOptions): Promise<unknown> {
    return attempt(() => {
      const call = this.callOn('touch', key, this.deadlineOf(options))
      const wire: Call = { type: 'touch', key, ttlMs: ttl === null ? undefined : ttlOf(ttl) }
      return this.session.call(call, wire, options?.signal)
    })
  }

  increment(key: string, by: number = 1, options: IncrementOptions = {}): Promise<unknown> {
    return attempt(() => {
      const call = this.callOn('increment', key, this.deadlineOf(options))
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
    return attempt(() => {
      assertKey(key)
      if (typeof change !== 'function') throw new TypeError('update takes a function')
      const { retries = UPDATE_RETRIES, signal } = options
      if (!(retries >= 0)) throw new TypeError('retries is a number of 0 or more')
      const expiry = expiryOf(options, { kind: 'keep' })
      const deadline = this.deadlineOf(options)
      signal?.throwIfAborted()
      const { clock, random } = this.session
      const ports = {
        read: async () => (await this.readBy('entry', key, deadline, signal)) as FoundEntry,
        write: async (value: unknown, ifVersion: number | null) => {
          const terms = { expiry, ifVersion, signal }
          return (await this.write(key, value, terms, deadline)) as WriteResult
        },
        sleep: (ms: number) => sleep(clock, ms),
        random,
      }
      const work = updateEntry(ports, { key, retries, expiry }, change)
      return timebox(clock, work, { deadline, signal, timeoutError: () => updateTimeout(key) })
    })
  }

  list(options: ListOptions = {}): Listing<unknown> {
    return this.ranges.list(options, false)
  }

  keys(options: ListOptions = {}): Listing<unknown> {
    return this.ranges.list(options, true)
  }

  async count(range: Range & CallOptions = {}): Promise<number> {
    return this.ranges.sum('count', range, range)
  }

  async clear(options: ClearOptions): Promise<number> {
    const { prefix, all } = (options ?? {}) as { prefix?: unknown; all?: unknown }
    const hasPrefix = typeof prefix === 'string' && prefix !== '' && all === undefined
    const isAll = all === true && prefix === undefined
    if (!hasPrefix && !isAll) {
      throw new TypeError('clear takes { prefix }, not empty, or { all: true }')
    }
    return this.ranges.sum('clear', hasPrefix ? { prefix } : {}, options)
  }

  private read(kind: ReadKind, key: string, options: CallOptions | undefined): Promise<unknown> {
    try {
      return this.readBy(kind, key, this.deadlineOf(options), options?.signal)
    } catch (error) {
      return rejection(error)
    }
  }

  private readBy(
    kind: ReadKind,
    key: string,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    return this.session.call(this.callOn(kind, key, deadline), { type: kind, key }, signal)
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

  private deadlineOf(options: CallOptions | undefined): number {
    if (options === undefined) return this.session.deadlineIn()
    if (typeof options !== 'object' || options === null) throw new TypeError('options is an object')
    return this.session.deadlineIn(timeoutOf(options.timeout))
  }
}

type ReadKind = 'get' | 'entry' | 'has'

function updateTimeout(key: string): KvError {
  return new KvError(
    'TIMEOUT',
    `update of ${quoteKey(key)} did not end in time; its last write may still be applied: ` +
      'read before repeating it',
  )
}

function attempt(make: () => Promise<unknown>): Promise<unknown> {
  try {
    return make()
  } catch (error) {
    return rejection(error)
  }
}

function rejection(error: unknown): Promise<never> {
  return Promise.reject(error as Error)
}
