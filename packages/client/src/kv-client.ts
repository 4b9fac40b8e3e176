/// <reference lib="esnext.disposable" preserve="true" />
/**
 * What `createClient` gives: a keyspace with a connection behind it.
 */
import type { ClientEvents, Listener } from './events.js'
import type { CallOptions, Keyspace, ReadOptions } from './keyspace.js'
import type { UntypedNamespace } from './namespace.js'
import type { AnySchema } from './schema.js'

/**
 * `idle`: not opened, or given up for now. `connecting`: for the first time. `reconnecting`: the
 * connection was lost, calls wait. `closed`: by `close()`, or refused by the node for good.
 */
export type ClientStatus = 'idle' | 'connecting' | 'ready' | 'reconnecting' | 'closed'

export interface KvClient<S = AnySchema> extends Keyspace<S>, AsyncDisposable {
  readonly status: ClientStatus
  /**
   * Opens the connection and resolves when it is ready. Rejects as soon as every host was tried
   * once in vain (`UNAVAILABLE`), or the node refuses the client. Calling it is optional: any call
   * opens the connection.
   */
  connect(options?: CallOptions): Promise<void>
  /**
   * Takes no more calls (`CLOSED`), waits for the open ones, at most for the client's timeout, and
   * ends the connection.
   */
  close(): Promise<void>
  /** Returns the function that takes the listener off. No listener is ever needed. */
  on<E extends keyof ClientEvents>(event: E, listener: Listener<E>): () => void
}

/** A client without a schema: any key, any value; `get` takes the type of the value. */
export interface UntypedClient extends Omit<KvClient<AnySchema>, 'get' | 'namespace'> {
  // oxlint-disable-next-line typescript/no-explicit-any
  get<T = any>(key: string, options?: ReadOptions): Promise<T | undefined>
  /** See `Keyspace`. */
  namespace: UntypedNamespace['namespace']
}

/**
 * Makes a client; nothing is opened before the first call.
 *
 *     const kv = createClient('kv://127.0.0.1:7400')
 *     const typed = createClient<{ [key: `user:${string}`]: User; config: Config }>()
 *
 * Throws `TypeError` for options that are none.
 */
export interface CreateClient<Target> {
  (target?: Target): UntypedClient
  <S extends object>(target?: Target): KvClient<S>
}
