/**
 * Atomic batches, as users see them.
 */
import type { CallOptions, Counted, Expiry, IncrementOptions, Written } from './keyspace.js'
import type { Entry, KeyOf, NumericKeyOf, ValueAt } from './schema.js'

/** Options of `increment` in an atomic batch; they mean what they mean for the call. */
export type AtomicIncrementOptions = Pick<IncrementOptions, 'ttl' | 'min' | 'max'>

/** A check that did not hold: what stands under its key, if anything. */
export type Conflict<S> = {
  [K in KeyOf<S>]: { readonly key: K; readonly current: Entry<K, S[K]> | undefined }
}[KeyOf<S>]

/**
 * What an operation gave: `true` for a check, `{ ok: true, version }` for a set, whether it was there
 * for a delete and a touch, the counter for an increment.
 */
export type AtomicResult = boolean | Written | Counted

/** All of it took effect, as one version. `results` are in the order of the operations. */
export interface Committed extends Written {
  readonly results: readonly AtomicResult[]
}

/**
 * Operations on keys of one shard that take effect all or not at all, as one version. Keys with the
 * same `{tag}` share a shard.
 *
 * All checks are judged first, against what stands there before the batch; then the operations are
 * done in order, each on what those before it made. Values are taken as they are when the method is
 * called. No method throws: a mistake is the rejection of `commit`. A batch can be committed once.
 *
 * `Given` is what is given for a key where a schema makes something else of it.
 *
 *     const result = await kv.atomic()
 *       .check('{acct:1}.balance', entry.version)
 *       .increment('{acct:1}.balance', -5)
 *       .set('{acct:1}.last', new Date())
 *       .commit()
 */
export interface Atomic<S, Given = S> {
  /** The key must have this version; `null`: it must not exist. */
  check<K extends KeyOf<S>>(key: K, version: number | null): this
  /** Writes the value; an earlier expiry is removed unless an option says otherwise. */
  set<K extends KeyOf<S>>(key: K, value: ValueAt<Given, K>, options?: Expiry): this
  delete<K extends KeyOf<S>>(key: K): this
  /** Gives the entry a new time to live in milliseconds; `null`: it does not end. */
  touch<K extends KeyOf<S>>(key: K, ttl: number | null): this
  /** Adds `by` (default 1). What the call refuses makes `commit` reject, and nothing is done. */
  increment<K extends NumericKeyOf<S>>(key: K, by?: number, options?: AtomicIncrementOptions): this
  /**
   * Sends the batch. `failed` names each key whose check did not hold; nothing was done then. Rejects
   * with `CROSS_SHARD` if the keys are not in one shard, with `BATCH_TOO_LARGE` beyond 1,000
   * operations or about the size of the largest value in total, with a `TypeError` if it has no
   * operation or was committed before.
   */
  commit(
    options?: CallOptions,
  ): Promise<Committed | { readonly ok: false; readonly failed: readonly Conflict<S>[] }>
}
