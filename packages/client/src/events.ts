/**
 * Events of a client, without the rule of Node that an `error` nobody listens to ends the process.
 */
import type { KvError, Topology } from '@kv/protocol'

/** Event → what its listeners are given. */
export interface ClientEvents {
  /** A connection is up; also after each reconnect. */
  ready: undefined
  /** There is none, and another attempt follows after `delayMs` milliseconds. */
  reconnecting: {
    readonly attempt: number
    readonly delayMs: number
    readonly error: KvError
  }
  /** The client is closed; `error` says why if it was not `close()`. */
  end: { readonly error: KvError | undefined }
  /** Something went wrong that no call can report. Calls that fail say so themselves. */
  error: KvError
  /** Shards are served by other children than before. */
  topology: Topology
}

export type Listener<E extends keyof ClientEvents> = (payload: ClientEvents[E]) => void

export class Emitter {
  private readonly listeners = new Map<string, Set<(payload: never) => void>>()

  /** Returns the function that takes the listener off again. */
  on<E extends keyof ClientEvents>(event: E, listener: Listener<E>): () => void {
    // A wrapper of its own, so that one function added twice is two listeners.
    const entry = (payload: ClientEvents[E]): void => {
      listener(payload)
    }
    const listeners = this.listeners.get(event) ?? new Set()
    this.listeners.set(event, listeners.add(entry))
    return () => {
      listeners.delete(entry)
    }
  }

  /** A listener that throws disturbs neither the client nor the other listeners. */
  emit<E extends keyof ClientEvents>(event: E, payload: ClientEvents[E]): void {
    for (const listener of Array.from(this.listeners.get(event) ?? [])) {
      try {
        ;(listener as Listener<E>)(payload)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
