/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A keyspace under a prefix, by its types: plain, with a schema that values are validated by, and
 * without any types.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Atomic } from './atomic-batch.js'
import type {
  CallOptions,
  Keyspace,
  MaybePromise,
  ReadOptions,
  Refused,
  SetIfOptions,
  SetOptions,
  UpdateOptions,
  Written,
} from './keyspace.js'
import type { AnySchema, EntryOf, PairOf, ValueAt } from './schema.js'

export interface NoSchema {
  readonly schema?: undefined
  readonly validateOnRead?: false | undefined
}

export interface NamespaceOptions<V extends StandardSchemaV1> {
  /**
   * A synchronous validator of the Standard Schema interface (Zod, Valibot, ArkType, …). Its output
   * is what is stored; a value that does not fit is `INVALID_VALUE`, with `issues`, and not sent.
   * `increment` is not validated: give it `min` and `max`.
   */
  readonly schema: V
  /** Whether what is read is validated too, and comes as the schema's output; default false. */
  readonly validateOnRead?: boolean | undefined
}

/** Nothing in particular, or `all`: the whole namespace. */
export type NamespaceClearOptions = CallOptions & {
  readonly prefix?: string | undefined
  readonly all?: true | undefined
}

export interface Namespace<S> extends Keyspace<S> {
  /** Deletes all keys of the namespace, or of a prefix in it, as `clear` of a client does. */
  clear(options?: NamespaceClearOptions): Promise<number>
}

/** What may be given for each key, and what is stored there. */
type Given<V extends StandardSchemaV1> = { [key: string]: StandardSchemaV1.InferInput<V> }
type Stored<V extends StandardSchemaV1> = { [key: string]: StandardSchemaV1.InferOutput<V> }

/** What the schema of a namespace takes goes in, what it makes of it is stored and comes out. */
export interface TypedNamespace<V extends StandardSchemaV1> extends Omit<
  Namespace<Stored<V>>,
  'set' | 'setMany' | 'update' | 'atomic' | 'namespace'
> {
  set<K extends string>(key: K, value: ValueAt<Given<V>, K>, options?: SetOptions): Promise<Written>
  set<K extends string>(
    key: K,
    value: ValueAt<Given<V>, K>,
    options: SetIfOptions,
  ): Promise<Written | Refused<EntryOf<Stored<V>, K>>>
  /** An entry that does not fit fails by itself: see `results` of the rejection. */
  setMany(entries: Iterable<PairOf<Given<V>>>, options?: CallOptions): Promise<Written[]>
  update<K extends string>(
    key: K,
    fn: (
      value: ValueAt<Stored<V>, K> | undefined,
      entry: EntryOf<Stored<V>, K> | undefined,
    ) => MaybePromise<ValueAt<Given<V>, K> | undefined>,
    options?: UpdateOptions,
  ): Promise<EntryOf<Stored<V>, K> | undefined>
  /** A value that does not fit is `INVALID_VALUE` at `commit`. */
  atomic(): Atomic<Stored<V>, Given<V>>
  /** Its values are validated by this schema too. */
  namespace(prefix: string, options?: NoSchema): TypedNamespace<V>
  /** Its values are validated by `schema`, and what that makes of them by this one. */
  namespace<W extends StandardSchemaV1>(
    prefix: string,
    options: NamespaceOptions<W>,
  ): TypedNamespace<W>
}

/** Any key, any value; `get` takes the type of the value. */
export interface UntypedNamespace extends Omit<Namespace<AnySchema>, 'get' | 'namespace'> {
  // oxlint-disable-next-line typescript/no-explicit-any
  get<T = any>(key: string, options?: ReadOptions): Promise<T | undefined>
  namespace(prefix: string, options?: NoSchema): UntypedNamespace
  namespace<V extends StandardSchemaV1>(
    prefix: string,
    options: NamespaceOptions<V>,
  ): TypedNamespace<V>
}
