/**
 * How the keys and values of a keyspace are those of the node: a namespace has its prefix put on the
 * keys that go in and taken off those that come out, and schemas look at values on their way. The
 * client itself is the keyspace without either.
 *
 * A namespace in a namespace is one with a longer prefix, so nesting costs no more.
 */
import { assertKey, KvError } from '@kv/protocol'
import type { AtomicKeyspace, Conflict } from './atomic.js'
import type { Range } from './keyspace.js'
import { assertOptions, NAMESPACE_OPTIONS } from './known-options.js'
import type { Item } from './listing/page-source.js'
import { partsOf } from './many-calls.js'
import { mistakeIn } from './mistakes.js'
import type { FoundEntry } from './session/answers.js'
import type { Validation } from './validation.js'
import { validated, validationOf } from './validation.js'
import type { CoreEvent } from './watch/watch-core.js'

type Refusable = { readonly ok: true } | { readonly ok: false; readonly current?: FoundEntry }

export class KeyView implements AtomicKeyspace {
  /** Nothing is changed on the way, in or out. */
  readonly isPlain: boolean
  private readonly prefix: string
  /** The innermost first: what one makes of a value, the next validates. */
  private readonly validations: readonly Validation[]
  private readonly readValidations: readonly Validation[]

  constructor(prefix: string = '', validations: readonly Validation[] = []) {
    this.isPlain = prefix === ''
    this.prefix = prefix
    this.validations = validations
    this.readValidations = validations.filter(({ onRead }) => onRead).toReversed()
  }

  /** Throws for a prefix that can't begin a key, and for options that are none. */
  namespace(prefix: unknown, options: unknown): KeyView {
    try {
      if (typeof prefix !== 'string' || prefix === '') {
        throw new TypeError('the prefix is a string, not empty')
      }
      const validation = options === undefined ? undefined : ownValidation(options)
      const full = this.prefix + prefix
      assertKey(full)
      return new KeyView(full, validation ? [validation, ...this.validations] : this.validations)
    } catch (error) {
      throw mistakeIn('namespace', undefined, error)
    }
  }

  /** What is no key stays as it is: the call refuses it. */
  full(key: string): string {
    return this.isPlain || typeof key !== 'string' || key === '' ? key : this.prefix + key
  }

  fullKeys(keys: readonly string[]): readonly string[] {
    if (this.isPlain || !Array.isArray(keys)) return keys
    return keys.map((key) => this.full(key as string))
  }

  /** The key that is the prefix itself is not in the namespace. */
  fullRange<R extends Range>(range: R): R {
    if (this.isPlain || typeof range !== 'object' || range === null) return range
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

  /** What a `clear` is to clear. */
  cleared(options: unknown): Range {
    const { prefix, all } = (options ?? {}) as { prefix?: unknown; all?: unknown }
    if (typeof prefix === 'string' && prefix !== '' && all === undefined) {
      return this.fullRange({ prefix })
    }
    if (prefix === undefined && (all === true || (all === undefined && !this.isPlain))) {
      return this.fullRange({})
    }
    const what = this.isPlain ? '{ all: true }' : 'nothing or { all: true }'
    throw new TypeError(`give it ${what}, or { prefix }, not empty`)
  }

  /** What a watch is to watch. */
  watched(what: unknown): unknown {
    if (typeof what === 'string') return this.full(what)
    if (Array.isArray(what)) return this.fullKeys(what as string[])
    if (typeof what !== 'object' || what === null || !('prefix' in what)) return what
    return { ...what, prefix: this.bound(what.prefix as string) }
  }

  private bound(value: string | undefined): string | undefined {
    return typeof value === 'string' ? this.prefix + value : value
  }

  /** One that does not fit is handed on as its error: it fails by itself. */
  *fullEntries(entries: Iterable<unknown>): Generator<unknown> {
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

  stored(key: string, value: unknown): unknown {
    return validatedByAll(this.validations, key, value)
  }

  shownValue(key: string, value: unknown): unknown {
    return value === undefined ? value : validatedByAll(this.readValidations, key, value)
  }

  /** An entry under the key that it has in this keyspace. */
  shown(found: FoundEntry | undefined): FoundEntry | undefined {
    if (this.isPlain || found === undefined) return found
    const key = this.shownKey(found.key)
    return { ...found, key, value: this.shownValue(key, found.value) }
  }

  shownKey(key: string): string {
    return key.slice(this.prefix.length)
  }

  /** An item of a listing: an entry, or a key alone. */
  shownItem(item: Item): unknown {
    return typeof item === 'string' ? this.shownKey(item) : this.shown(item)
  }

  conflict(key: string, current: FoundEntry | undefined): Conflict {
    return { key: this.shownKey(key), current: this.shown(current) }
  }

  async shownRefusal(written: Promise<unknown>): Promise<unknown> {
    const result = (await written) as Refusable
    return result.ok ? result : { ok: false, current: this.shown(result.current) }
  }

  shownEvent(event: CoreEvent): CoreEvent | undefined {
    if (event.type === 'ready' || event.type === 'reset') return event
    const key = this.shownKey(event.key)
    // The key that is the prefix itself is not in the namespace.
    if (key === '') return undefined
    const shown = { key: { value: key, enumerable: true } }
    if (event.type !== 'set') return Object.defineProperties(event, shown)
    const value = this.shownValue(key, event.value)
    return Object.defineProperties(event, { ...shown, value: { value, enumerable: true } })
  }
}

/** The keyspace of the client itself. */
export const PLAIN_VIEW: KeyView = new KeyView()

function validatedByAll(validations: readonly Validation[], key: string, value: unknown): unknown {
  let output: unknown = value
  for (const { schema } of validations) output = validated(schema, key, output)
  return output
}

function ownValidation(options: unknown): Validation | undefined {
  assertOptions(options, NAMESPACE_OPTIONS)
  const { schema, validateOnRead } = options as { schema?: unknown; validateOnRead?: unknown }
  return validationOf(schema, validateOnRead)
}
