/** What is measured: a store started for the run, and a client of it in this process. */

/** One client, as a program of that store would use it. */
export interface PeerClient {
  get(key: string): Promise<unknown>
  set(key: string, value: string): Promise<unknown>
  close(): Promise<void>
}

export interface Peer {
  /** How the tables call it. */
  readonly name: string
  /** The settings that decide what is compared. */
  readonly settings: string
  connect(): Promise<PeerClient>
  /** Ends the store and removes what it stored. */
  stop(): Promise<void>
}

/** A store that can't be measured here says why in its row. */
export interface AbsentPeer {
  readonly name: string
  readonly absent: string
}
