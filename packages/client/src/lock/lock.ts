/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Locks, as users see them.
 */
import type { CallOptions } from '../keyspace.js'

export interface LockOptions extends Pick<CallOptions, 'signal'> {
  /**
   * Milliseconds after which others get the lock if the holder is gone; more than 0. While the
   * holder lives it is renewed, about every third of it.
   */
  readonly ttl: number
  /** Milliseconds to wait in the queue if somebody else has it; default 0. */
  readonly wait?: number | undefined
}

/**
 * A lock that is held, until it is released or lost. `await using` releases it.
 *
 *     await using lock = await kv.lock('job:7', { ttl: 10_000, wait: 60_000 })
 *     await work({ signal: lock.signal })
 *     await kv.atomic().check(lock.key, lock.version).set('job:7:result', result).commit()
 */
export interface Lock<K extends string = string> extends AsyncDisposable {
  readonly key: K
  /**
   * The version of the entry under the key: it stays while the lock is held, and nobody else's lock
   * has it. A batch that checks it is refused once the lock is lost, whatever this process believes.
   */
  readonly version: number
  /** Grows with every holder. For systems elsewhere that remember the highest they have seen. */
  readonly token: number
  /**
   * Aborts with `LOCK_LOST` when the lock could not be renewed in time, as when the event loop stood
   * still for longer than the ttl. The time is looked at whenever this is read.
   */
  readonly signal: AbortSignal
  /** Gives the lock back, and nothing if it was lost. Repeating it changes nothing. */
  release(): Promise<void>
}
