/**
 * Every size and count that the protocol bounds, in one place.
 *
 * A limit is part of the protocol when both ends must know it: a client that honours these never
 * meets an error for size. A node may lower the ones it announces in WELCOME (`NodeLimits`),
 * never raise a constant of this file.
 */

/** Version of the wire protocol. Client and node must agree on it exactly. */
export const PROTOCOL_VERSION = 2

/** Longest key, in bytes of UTF-8. Fits an LMDB key with 8 KiB pages, expiry index included. */
export const KEY_BYTES_MAX = 2_048

/** Longest value as stored, in bytes after encoding; the default of a node. */
export const VALUE_BYTES_MAX = 1_048_576

/** Largest WebSocket message in either direction: one value of the largest size, and its call. */
export const MESSAGE_BYTES_MAX = 1_310_720

/** Largest message before HELLO was accepted. */
export const HELLO_BYTES_MAX = 65_536

/** Most calls in one batch. */
export const BATCH_CALLS_MAX = 16_384

/** Most operations of one atomic batch. */
export const ATOMIC_OPERATIONS_MAX = 1_000

/**
 * What a call may have beside one value of the largest size: its key and options. So the operations
 * of an atomic batch have at most this many bytes more than the largest value.
 */
export const CALL_SPARE_BYTES = 8_192

/** Longest name of who holds a lock or waits for it, in bytes of the encoded value. */
export const LOCK_OWNER_BYTES_MAX = 256

/** Most places in the queue of one lock, those between two that wait included. */
export const LOCK_WAITERS_MAX = 4_096

/** A client closes a batch at this size, so that one large turn becomes several messages. */
export const BATCH_BYTES_SOFT = 131_072

/** Bytes of batches that one connection may have unanswered; the default of a node. */
export const IN_FLIGHT_BYTES_MAX = 8_388_608

/** Most entries in one page of a scan, and most keys one step of `clear` deletes. */
export const PAGE_ENTRIES_MAX = 1_000

/** A page of a scan ends once its keys and values hold this many bytes. */
export const PAGE_BYTES_SOFT = 262_144

/** Deepest nesting of a value. */
export const VALUE_DEPTH_MAX = 100

/** Most shards a data directory may be created with. */
export const SHARDS_MAX = 4_096

/** Most keys one watch may list; a prefix has no such limit. */
export const WATCH_KEYS_MAX = 4_096

/** Watches one connection may have at one child. */
export const WATCHES_MAX = 16_384

/** Most bytes of events a watch may be owed at once, however much credit is given. */
export const WATCH_CREDIT_BYTES_MAX = 1_048_576

/** Most children of one node. */
export const CHILDREN_MAX = 256

/** Longest token, client name or other free text in HELLO, in bytes. */
export const HELLO_TEXT_BYTES_MAX = 4_096

/** Longest message of an error on the wire, in bytes; longer ones are cut. */
export const ERROR_TEXT_BYTES_MAX = 4_096

/** The limits a node announces to its clients. */
export interface NodeLimits {
  readonly valueBytesMax: number
  readonly messageBytesMax: number
  readonly inFlightBytesMax: number
}
