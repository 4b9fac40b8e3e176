/** What is measured: a store started for the run, and a client of it in this process. */

/** What a program asks of a store. Each store is asked in its own way, as its users would. */
export type Operation =
  | 'get'
  | 'set'
  | 'increment'
  /** A set that takes effect only if the entry has the version that was read. */
  | 'setIf'
  | 'getMany'
  | 'setMany'
  /** The first entries, keys and values, whose keys begin with a prefix, in order. */
  | 'list'

/** One client, as a program of that store would use it. What a store has no call for is absent. */
export interface PeerClient {
  /** `undefined` or `null`: there is none. */
  get(key: string): Promise<unknown>
  set(key: string, value: string): Promise<unknown>
  increment?(key: string): Promise<unknown>
  /** Reads the entry's version, then sets on condition of it: two calls to the store. */
  setIf?(key: string, value: string): Promise<unknown>
  getMany?(keys: readonly string[]): Promise<unknown>
  setMany?(entries: readonly (readonly [key: string, value: string])[]): Promise<unknown>
  /** Resolves with how many entries it got. */
  list?(prefix: string, limit: number): Promise<number>
  /** Resolves once changes of `key` arrive; the result ends it. */
  watch?(key: string, onChange: () => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

export interface Peer {
  /** How the tables call it. */
  readonly name: string
  /** The settings that decide what is compared, versions included. */
  readonly settings: string
  connect(): Promise<PeerClient>
  /** Bytes of memory of all processes of the store, as the system counts them; not of this one. */
  memoryBytes?(): number | undefined
  /** Ends the store and removes what it stored. */
  stop(): Promise<void>
}

/** A peer that can be killed, so that its start with all that it stored is measured. */
export interface RestartablePeer extends Peer {
  /** `kill -9` of every process of it. Resolves when all have ended. */
  kill(): Promise<void>
  /** Starts it again on what is stored. Resolves when it has answered a get. */
  restart(): Promise<void>
}

/** A store that can't be measured here says why in its row. */
export interface AbsentPeer {
  readonly name: string
  readonly absent: string
}
