/**
 * The calls of a namespace: those of the client, with the prefix put on what goes in and taken off
 * what comes out, and values validated on their way if there is a schema.
 *
 * A namespace in a namespace is one with a longer prefix, so nesting costs no more. Types are loose
 * here, as in `client.ts`.
 */
import { assertKey, KvError } from '@kv/protocol'
import type { AtomicBuilder } from './atomic.js'
import type { Client } from './client.js'
import type {
  CallOptions,
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
import type { LockOptions } from './lock/lock.js'
import { assertOptions, NAMESPACE_OPTIONS } from './known-options.js'
import { assertIterable, partsOf } from './many-calls.js'
import { attempt, mistakeIn } from './mistakes.js'
import type { FoundEntry } from './session/answers.js'
import type { Validation } from './validation.js'
import { validated, validationOf } from './validation.js'
import type { KeyWatch } from './watch/key-watch.js'

type Change = (value: unknown, entry: FoundEntry | undefined) => unknown
type Refusable = { readonly ok: true } | { readonly ok: false; readonly current?: FoundEntry }

export class NamespaceCalls {
  private readonly client: Client
  private readonly prefix: string
  /** The innermost first: what one makes of a value, the next validates. */
  private readonly validations: readonly Validation[]
  private readonly readValidations: readonly Validation[]

  /** Throws for a prefix that can't begin a key, and for options that are none. */
  constructor(client: Client, prefix: string, options?: unknown, outer?: NamespaceCalls) {
    const validation = ownValidation(options)
    const validations = outer?.validations ?? []
    this.client = client
    this.prefix = (outer?.prefix ?? '') + checkedPrefix(prefix)
    this.validations = validation ? [validation, ...validations] : validations
    this.readValidations = this.validations.filter(({ onRead }) => onRead).toReversed()
    assertKey(this.prefix)
  }

  namespace(prefix: string, options?: unknown): NamespaceCalls {
    return new NamespaceCalls(this.client, prefix, options, this)
  }

  get(key: string, options?: ReadOptions): Promise<unknown> {
    const found = this.client.get(this.full(key), options)
    if (this.readValidations.length === 0) return found
    return found.then((value) => this.readValue(key, value))
  }

  async getEntry(key: string, options?: ReadOptions): Promise<unknown> {
    return this.shown(await this.client.getEntry(this.full(key), options))
  }

  has(key: string, options?: ReadOptions): Promise<unknown> {
    return this.client.has(this.full(key), options)
  }

  getMany(keys: readonly string[], options?: ReadOptions): Promise<unknown> {
    const found = this.client.getMany(this.fullKeys(keys), options)
    if (this.readValidations.length === 0) return found
    return found.then((values) =>
      (values as unknown[]).map((value, index) => this.readValue(keys[index]!, value)),
    )
  }

  async getEntries(keys: readonly string[], options?: ReadOptions): Promise<unknown> {
    const entries = (await this.client.getEntries(this.fullKeys(keys), options)) as unknown[]
    return entries.map((entry) => this.shown(entry))
  }

  hasMany(keys: readonly string[], options?: ReadOptions): Promise<unknown> {
    return this.client.hasMany(this.fullKeys(keys), options)
  }

  set(key: string, value: unknown, options?: SetOptions | SetIfOptions): Promise<unknown> {
    return attempt('set', key, () => {
      const written = this.client.set(this.full(key), this.stored(key, value), options)
      return options?.ifVersion === undefined ? written : this.shownRefusal(written)
    })
  }

  setMany(entries: Iterable<unknown>, options?: CallOptions): Promise<unknown> {
    return attempt('setMany', undefined, () => {
      assertIterable(entries)
      return this.client.setMany(this.fullEntries(entries), options)
    })
  }

  delete(key: string, options?: CallOptions): Promise<unknown> {
    return this.client.delete(this.full(key), options)
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<unknown> {
    return this.client.deleteMany(this.fullKeys(keys), options)
  }

  deleteIf(key: string, version: number, options?: CallOptions): Promise<unknown> {
    return this.shownRefusal(this.client.deleteIf(this.full(key), version, options))
  }

  touch(key: string, ttl: number | null, options?: CallOptions): Promise<unknown> {
    return this.client.touch(this.full(key), ttl, options)
  }

  increment(key: string, by?: number, options?: IncrementOptions): Promise<unknown> {
    return this.client.increment(this.full(key), by, options)
  }

  async update(key: string, change: Change, options?: UpdateOptions): Promise<unknown> {
    const isFunction = typeof change === 'function'
    const inFull = async (_: unknown, entry: FoundEntry | undefined): Promise<unknown> => {
      const shown = this.shown(entry)
      const value = await change(shown?.value, shown)
      return value === undefined ? undefined : this.stored(key, value)
    }
    const entry = await this.client.update(this.full(key), isFunction ? inFull : change, options)
    return this.shown(entry)
  }

  atomic(): AtomicBuilder {
    return this.client.atomicAs({
      full: (key) => this.full(key),
      stored: (key, value) => this.stored(key, value),
      shown: (key, entry) => ({ key: key.slice(this.prefix.length), current: this.shown(entry) }),
    })
  }

  lock(key: string, options: LockOptions): Promise<unknown> {
    return this.client.lockAs(this.full(key), key, options)
  }

  list(options: ListOptions = {}): Listing<unknown> {
    return this.client.listAs('list', this.under(options), (item) => this.shown(item))
  }

  keys(options: ListOptions = {}): Listing<unknown> {
    const { length } = this.prefix
    return this.client.listAs('keys', this.under(options), (key) => (key as string).slice(length))
  }

  watch(what: unknown, options: WatchOptions = {}): KeyWatch {
    const { length } = this.prefix
    return this.client.watchAs(this.watched(what), options, (event) => {
      if (event.type === 'ready' || event.type === 'reset') return event
      const key = event.key.slice(length)
      // The key that is the prefix itself is not in the namespace.
      if (key === '') return undefined
      const value = event.type === 'set' ? { value: this.readValue(key, event.value) } : {}
      return Object.defineProperties(event, {
        key: { value: key, enumerable: true },
        ...('value' in value ? { value: { ...value, enumerable: true } } : {}),
      })
    })
  }

  private watched(what: unknown): unknown {
    if (typeof what === 'string') return this.full(what)
    if (Array.isArray(what)) return this.fullKeys(what as string[])
    if (typeof what !== 'object' || what === null || !('prefix' in what)) return what
    return { ...what, prefix: this.bound(what.prefix as string) }
  }

  count(range: Range & ReadOptions = {}): Promise<number> {
    return this.client.count(this.under(range))
  }

  clear(options: CallOptions & { prefix?: unknown; all?: unknown } = {}): Promise<number> {
    return attempt('clear', undefined, () => {
      const { prefix, all } = options
      const isPart = typeof prefix === 'string' && prefix !== '' && all === undefined
      const isAll = prefix === undefined && (all === undefined || all === true)
      if (!isPart && !isAll) {
        throw new TypeError('give it nothing or { all: true }, or { prefix }, not empty')
      }
      return this.client.sum('clear', this.under(isPart ? { prefix } : {}), options)
    })
  }

  /** The client refuses what is no key: it comes to it as it is. */
  private full(key: string): string {
    return typeof key === 'string' && key !== '' ? this.prefix + key : key
  }

  private fullKeys(keys: readonly string[]): readonly string[] {
    return Array.isArray(keys) ? keys.map((key) => this.full(key as string)) : keys
  }

  /** The range as the client has it. The key that is the prefix itself is not in the namespace. */
  private under<R extends Range>(range: R): R {
    if (typeof range !== 'object' || range === null) return range
    const { prefix = '', gt = '', gte, lt, lte } = range
    return {
      ...range,
      prefix: this.bound(prefix),
      gt: this.bound(gt),
      gte: this.bound(gte),
      lt: this.bound(lt),
      lte: this.bound(lte),
    }
  }

  private bound(value: string | undefined): string | undefined {
    return typeof value === 'string' ? this.prefix + value : value
  }

  /** One that does not fit is handed on as its error: it fails by itself. */
  private *fullEntries(entries: Iterable<unknown>): Generator<unknown> {
    for (const entry of entries) {
      const { key, value, ttl } = partsOf(entry)
      try {
        yield { key: this.full(key as string), value: this.stored(key as string, value), ttl }
      } catch (error) {
        if (!(error instanceof KvError)) throw mistakeIn('the entry', key, error)
        yield error as KvError
      }
    }
  }

  private stored(key: string, value: unknown): unknown {
    let output: unknown = value
    for (const { schema } of this.validations) output = validated(schema, key, output)
    return output
  }

  private readValue(key: string, value: unknown): unknown {
    if (value === undefined) return undefined
    let output: unknown = value
    for (const { schema } of this.readValidations) output = validated(schema, key, output)
    return output
  }

  /** An entry under the key that it has in the namespace. */
  private shown(found: unknown): FoundEntry | undefined {
    if (found === undefined) return undefined
    const entry = found as FoundEntry
    const key = entry.key.slice(this.prefix.length)
    return { ...entry, key, value: this.readValue(key, entry.value) }
  }

  private async shownRefusal(written: Promise<unknown>): Promise<unknown> {
    const result = (await written) as Refusable
    return result.ok ? result : { ok: false, current: this.shown(result.current) }
  }
}

function checkedPrefix(prefix: unknown): string {
  if (typeof prefix === 'string' && prefix !== '') return prefix
  throw new TypeError('namespace: the prefix is a string, not empty')
}

function ownValidation(options: unknown): Validation | undefined {
  if (options === undefined) return undefined
  try {
    assertOptions(options, NAMESPACE_OPTIONS)
    const { schema, validateOnRead } = options as { schema?: unknown; validateOnRead?: unknown }
    return validationOf(schema, validateOnRead)
  } catch (error) {
    throw mistakeIn('namespace', undefined, error)
  }
}
