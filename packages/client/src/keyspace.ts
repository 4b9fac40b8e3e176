/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The calls of a keyspace: the public interface, and what its parts mean.
 *
 * Durations are milliseconds, times are epoch milliseconds of the node. No call throws
 * synchronously: mistakes of the program (`TypeError`) and failures (`KvError`) are rejections.
 * Every promise settles by the deadline of its call.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Atomic } from './atomic-batch.js'
import type { Lock, LockOptions } from './lock/lock.js'
import type { Namespace, NamespaceOptions, NoSchema, TypedNamespace } from './namespace.js'
import type { EntryOf, KeyOf, NumericKeyOf, PairOf, Stripped, Under, ValueAt } from './schema.js'

export interface CallOptions {
  /**
   * An abort rejects with the signal's reason at once. Nothing is sent any more then; a write that
   * was already sent may still be applied.
   */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the call fails as `TIMEOUT`; default: the client's. More than 0. */
  readonly timeout?: number | undefined
}

export interface ReadOptions extends CallOptions {
  /**
   * `linearizable` (default): the last committed value, and this client's own writes, awaited or not.
   * `replica`: any copy in sync answers, which spreads the load over the children that have one. What
   * it gives was committed, but may be older than the last value, than this client's own writes, and
   * than what such a read gave before. With one copy both give the same to calls that were awaited.
   */
  readonly consistency?: 'linearizable' | 'replica' | undefined
}

/**
 * When an entry ends; at most one of the three. `ttl` is milliseconds from now, more than 0;
 * `expiresAt` is epoch milliseconds; `keepTtl` keeps what the key had. None: it does not end.
 */
export type Expiry =
  | {
      readonly ttl?: number | undefined
      readonly expiresAt?: undefined
      readonly keepTtl?: undefined
    }
  | {
      readonly ttl?: undefined
      readonly expiresAt?: number | undefined
      readonly keepTtl?: undefined
    }
  | {
      readonly ttl?: undefined
      readonly expiresAt?: undefined
      readonly keepTtl?: boolean | undefined
    }

export type SetOptions = CallOptions & Expiry & { readonly ifVersion?: never }
/** `ifVersion`: the version the key must have; `null`: it must not exist. */
export type SetIfOptions = CallOptions & Expiry & { readonly ifVersion: number | null }

export interface IncrementOptions extends CallOptions {
  /** Milliseconds; applies only if the counter is created. */
  readonly ttl?: number | undefined
  /** A result below it is refused as `OUT_OF_RANGE`. */
  readonly min?: number | undefined
  /** A result above it is refused as `OUT_OF_RANGE`. */
  readonly max?: number | undefined
}

export type UpdateOptions = CallOptions &
  Expiry & {
    /** How often `fn` may run again because another writer was faster; default 32. */
    readonly retries?: number | undefined
  }

/** A write took effect as this version. */
export interface Written {
  readonly ok: true
  readonly version: number
}

/** A conditional write met another version: `current` is what stands there, if anything. */
export interface Refused<E> {
  readonly ok: false
  readonly current: E | undefined
}

/** A counter after it was changed. */
export interface Counted {
  readonly value: number
  readonly version: number
  readonly expiresAt?: number
}

/** A part of the keys in UTF-8 byte order. Prefix and bounds intersect; none: all keys. */
export interface Range<P extends string = string> {
  readonly prefix?: P | undefined
  readonly gt?: string | undefined
  readonly gte?: string | undefined
  readonly lt?: string | undefined
  readonly lte?: string | undefined
}

export interface ListOptions<P extends string = string> extends Range<P>, ReadOptions {
  /** Most entries in total. */
  readonly limit?: number | undefined
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined
  /** `cursor` of a listing of the same range and direction, to go on after it. */
  readonly cursor?: string | undefined
  /** Entries in one of `pages()`, and most that are asked of one shard at a time. Default 256. */
  readonly pageSize?: number | undefined
}

/**
 * Keys in order, merged over all shards. Nothing is asked before the first item is; errors come
 * there too. It can be used once. A shard's page is a snapshot, the whole is not. The deadline
 * holds for each wait, not for the whole.
 */
export interface Listing<T> extends AsyncIterable<T>, AsyncDisposable {
  /**
   * Where a listing of the same range goes on, after the last item handed out, in this or another
   * process; `undefined` at the end.
   */
  readonly cursor: string | undefined
  /** The same in arrays of `pageSize`; the last may be shorter. */
  pages(): AsyncIterable<T[]>
  toArray(): Promise<T[]>
}

export interface WatchOptions extends CallOptions {
  /** Milliseconds within which the watch must be ready for the first time; default: no limit. */
  readonly timeout?: number | undefined
  /** `cursor` of an event of a watch of the same keys, to go on after it. */
  readonly since?: string | undefined
  /** Current values come first, as `set`, then `ready`. Default false. */
  readonly initial?: boolean | undefined
}

/**
 * A change. `version` is the revision that made it. `cursor` is where a watch goes on after it; it
 * is built when it is read, and that of the newest event keeps up with what is written elsewhere.
 */
export type WatchEvent<S, K extends string> = K extends unknown
  ? | {
        readonly type: 'set'
        readonly key: K
        readonly value: ValueAt<S, K>
        readonly version: number
        readonly expiresAt?: number
        readonly cursor: string
      }
    | {
        readonly type: 'delete' | 'expire'
        readonly key: K
        readonly version: number
        readonly cursor: string
      }
  : never

/**
 * `ready`: every shard is attached, what is written from now on is seen. `reset`: the history after
 * the cursor is gone, so forget what you hold; all current values follow as `set`, then `ready`.
 * Reasons: `trimmed` (the watch was too far behind), `diverged` (the cursor is not of this history),
 * `other-cluster`.
 */
export type WatchSignal =
  | { readonly type: 'ready'; readonly cursor: string }
  | { readonly type: 'reset'; readonly reason: string; readonly cursor: string }

/**
 * Changes in the order of each shard, each once. Nothing is asked before the first event is; errors
 * come there too. It can be used once; `break` lets go of it.
 */
export type Watch<T> = AsyncIterable<T> & AsyncDisposable

/** What to clear: a non-empty prefix, or all. */
export type ClearOptions = CallOptions &
  (
    | { readonly prefix: string; readonly all?: undefined }
    | { readonly all: true; readonly prefix?: undefined }
  )

export type MaybePromise<T> = T | Promise<T>

export interface Keyspace<S> {
  /** The value, or `undefined` if there is none. */
  get<K extends KeyOf<S>>(key: K, options?: ReadOptions): Promise<ValueAt<S, K> | undefined>
  /** The value with its version and expiry. */
  getEntry<K extends KeyOf<S>>(key: K, options?: ReadOptions): Promise<EntryOf<S, K> | undefined>
  /** Values in the order asked, of any number of keys. Not a snapshot of them. */
  getMany<const Ks extends readonly KeyOf<S>[]>(
    keys: Ks,
    options?: ReadOptions,
  ): Promise<{ -readonly [I in keyof Ks]: ValueAt<S, Ks[I]> | undefined }>
  /** Entries in the order asked, of any number of keys. Not a snapshot of them. */
  getEntries<const Ks extends readonly KeyOf<S>[]>(
    keys: Ks,
    options?: ReadOptions,
  ): Promise<{ -readonly [I in keyof Ks]: EntryOf<S, Ks[I]> | undefined }>
  has<K extends KeyOf<S>>(key: K, options?: ReadOptions): Promise<boolean>
  hasMany<const Ks extends readonly KeyOf<S>[]>(
    keys: Ks,
    options?: ReadOptions,
  ): Promise<{ -readonly [I in keyof Ks]: boolean }>

  /** Writes the value; an earlier expiry is removed unless an option says otherwise. */
  set<K extends KeyOf<S>>(key: K, value: ValueAt<S, K>, options?: SetOptions): Promise<Written>
  /** Writes the value if the key has the version `ifVersion`. A refusal is a result, no error. */
  set<K extends KeyOf<S>>(
    key: K,
    value: ValueAt<S, K>,
    options: SetIfOptions,
  ): Promise<Written | Refused<EntryOf<S, K>>>
  /**
   * Writes each entry by itself, in order. If any fails the others are still written, and the
   * rejection is a `KvError` with the code of the first failure, whose `results` hold
   * `{ ok: true, version }` or `{ ok: false, error }` in order. A `TypeError` writes nothing.
   */
  setMany(entries: Iterable<PairOf<S>>, options?: CallOptions): Promise<Written[]>
  /** Whether it was there. */
  delete<K extends KeyOf<S>>(key: K, options?: CallOptions): Promise<boolean>
  /** Deletes the key if it has this version. */
  deleteIf<K extends KeyOf<S>>(
    key: K,
    version: number,
    options?: CallOptions,
  ): Promise<{ readonly ok: true } | Refused<EntryOf<S, K>>>
  /** Whether each was there. Failures as in `setMany`, with `{ ok: true, deleted }`. */
  deleteMany<const Ks extends readonly KeyOf<S>[]>(
    keys: Ks,
    options?: CallOptions,
  ): Promise<{ -readonly [I in keyof Ks]: boolean }>
  /**
   * Deletes all keys of a prefix, or all there are, in steps: not atomic. Returns how many. After
   * an error a part may be deleted; repeating it is safe.
   */
  clear(options: ClearOptions): Promise<number>
  /** Gives the entry a new time to live; `null`: it does not end. Returns whether it is there. */
  touch<K extends KeyOf<S>>(key: K, ttl: number | null, options?: CallOptions): Promise<boolean>
  /**
   * Adds `by` (default 1) to a number; an absent key counts as 0. A bound or ±2^53 passed is
   * `OUT_OF_RANGE`, anything but a number stored there `NOT_A_NUMBER`: nothing changes then.
   */
  increment<K extends NumericKeyOf<S>>(
    key: K,
    by?: number,
    options?: IncrementOptions,
  ): Promise<Counted>
  /**
   * Reads, changes with `fn` and writes if nobody else has written; else again, up to `retries`
   * times, then `CONFLICT`. `fn` may be async, and may run several times. If it returns
   * `undefined` the key is left as it is. Returns the entry as it then stands.
   */
  update<K extends KeyOf<S>>(
    key: K,
    fn: (
      value: ValueAt<S, K> | undefined,
      entry: EntryOf<S, K> | undefined,
    ) => MaybePromise<ValueAt<S, K> | undefined>,
    options?: UpdateOptions,
  ): Promise<EntryOf<S, K> | undefined>

  /**
   * Tells of changes of a key, of a list of keys, or of all keys that begin with a prefix (the
   * empty one: of all). Always comes to `ready`, and goes on by itself through reconnects, failures
   * and moves of shards; a slow reader is waited for, and told `reset` if the log no longer reaches
   * back to where it is.
   */
  watch<const K extends KeyOf<S>>(
    what: K | readonly K[],
    options?: WatchOptions,
  ): Watch<WatchEvent<S, K> | WatchSignal>
  watch<const P extends string>(
    what: { readonly prefix: P },
    options?: WatchOptions,
  ): Watch<WatchEvent<S, Under<S, P>> | WatchSignal>

  /**
   * Begins an atomic batch: operations on keys of one shard, all of them or none. Nothing is sent
   * before `commit`.
   */
  atomic(): Atomic<S>

  /**
   * Takes the lock on a key, and waits for it up to `wait`, in the order of those who wait: nobody
   * polls, and one is woken at a time. Rejects with `LOCKED` if it is not had in time. While it is held
   * an entry stands under the key, a text that names the holder: who writes over it takes the lock
   * away.
   */
  lock<K extends KeyOf<S>>(key: K, options: LockOptions): Promise<Lock<K>>

  /** The entries of a range, in order. */
  list<const P extends string = string>(options?: ListOptions<P>): Listing<EntryOf<S, Under<S, P>>>
  /** The keys of a range, in order. */
  keys<const P extends string = string>(options?: ListOptions<P>): Listing<Under<S, P>>
  /** How many keys a range has. Each shard is counted in steps: not a snapshot. */
  count(range?: Range & ReadOptions): Promise<number>

  /**
   * The same calls on the keys that begin with `prefix`, which is not empty. Keys go in and come out
   * without it; limits and the `{tag}` apply to the whole key. Namespaces nest. Costs nothing of
   * itself: it holds no keys and no connection. Throws for a prefix that can't begin a key.
   */
  namespace<const P extends string>(
    prefix: P,
    options?: NoSchema,
  ): Namespace<string extends keyof S ? S : Stripped<S, P>>
  /** As above, and every value is validated by `schema` before it is stored. */
  namespace<const P extends string, V extends StandardSchemaV1>(
    prefix: P,
    options: NamespaceOptions<V>,
  ): TypedNamespace<V>
}
