/**
 * Typed keys: which values stand under which keys, by template-literal types.
 */

/** The schema of a client that was given none: any key, any value. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnySchema = { [key: string]: any }

/** The keys of a schema. */
export type KeyOf<S> = keyof S & string

/** What stands under the key `K`. */
export type ValueAt<S, K> = K extends keyof S ? S[K] : never

/** Literal text before the first placeholder of a template-literal key. */
export type Head<K extends string> = string extends K
  ? ''
  : K extends `${infer C}${infer R}`
    ? string extends C
      ? ''
      : `${C}${Head<R>}`
    : ''

/** The keys of a schema that may begin with `P`. */
export type Under<S, P extends string> = string extends P
  ? KeyOf<S>
  : {
      [K in KeyOf<S>]: K extends `${P}${string}`
        ? K
        : P extends K
          ? (P | `${P}${string}`) & K
          : Head<K> extends `${P}${string}`
            ? K
            : P extends `${Head<K>}${string}`
              ? K
              : never
    }[KeyOf<S>]

/** A schema as it is seen under the prefix `P`, with `P` taken off its keys. */
export type Stripped<S, P extends string> = {
  [K in KeyOf<S> as K extends `${P}${infer Rest}` ? Rest : P extends K ? string : never]: S[K]
}

/** The keys under which numbers stand. */
export type NumericKeyOf<S> = {
  [K in KeyOf<S>]: 0 extends 1 & S[K] ? K : S[K] extends number ? K : never
}[KeyOf<S>]

/** A key and its value, as the store holds them. */
export interface Entry<K extends string = string, V = unknown> {
  readonly key: K
  readonly value: V
  /** Grows with every write of the key, through deletion and re-creation. */
  readonly version: number
  /** Epoch milliseconds; absent if the entry does not expire. */
  readonly expiresAt?: number
}

/** The entry of each key in `K`, as a union if there are several. */
export type EntryOf<S, K extends string> = K extends unknown ? Entry<K, ValueAt<S, K>> : never

/** What `setMany` takes for each entry. */
export type PairOf<S> = {
  [K in KeyOf<S>]:
    | readonly [key: K, value: S[K]]
    | { readonly key: K; readonly value: S[K]; readonly ttl?: number | undefined }
}[KeyOf<S>]
