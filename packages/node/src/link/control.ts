/**
 * What coordinator and child say to each other over the fork's IPC channel: the control plane.
 *
 * Few and small messages; the data plane has a socket of its own (`data-link.ts`), so that a ping
 * never waits behind data. The two channels are not ordered to each other.
 */

/** When a write is acknowledged: once it is on disk, or once the system has it, which has a second. */
export type Fsync = 'always' | 'everysec'

/** How a child is to work; the first message it gets. */
export interface Configuration {
  readonly childId: number
  readonly clusterId: string
  readonly shardCount: number
  readonly clock: ClockReading
  readonly limits: ChildLimits
  readonly fsync: Fsync
  /** Every epoch begins with a jump: what was acknowledged may have been lost, now or earlier. */
  readonly jumps: boolean
  /** How often each primary takes a snapshot into a file; 0: never. */
  readonly snapshotsEveryMs: number
  readonly logLevel: string
  /** Path of the local socket on which the child listens for backups of its primaries; empty: none. */
  readonly replicationAddress: string
  /** How clients may come straight to this child; absent: they may not. */
  readonly direct?: DirectAccess | undefined
}

/** Ports to listen on, the first that is free; both 0: any. */
export interface PortRange {
  readonly firstPort: number
  readonly lastPort: number
}

export interface DirectAccess extends PortRange {
  readonly host: string
  readonly token?: string | undefined
  /** What the proofs of client ids are made with; hexadecimal. */
  readonly clientSecret: string
  readonly origins: readonly string[]
  readonly inFlightBytesMax: number
  readonly connectionsMax: number
}

/**
 * One reading of both clocks of the coordinator, taken at once. Children derive the time from the
 * monotonic clock, which all processes of a machine share, so that they agree and never go back.
 */
export interface ClockReading {
  readonly wallMs: number
  /** `process.hrtime.bigint()` in decimal: IPC carries no bigint. */
  readonly monotonicNs: string
}

export interface ChildLimits {
  readonly valueBytesMax: number
  /** Measured bytes of committed writes kept in memory until they are applied, all shards. */
  readonly overlayBytesMax: number
  /** Bytes of log kept for watchers, all shards of the node together; 0: none. */
  readonly historyBytesMax: number
  readonly historyMsMax: number
}

/**
 * One copy of a shard, held by one process. Hostings of a copy are numbered and no number is used
 * twice: it tells late messages about an earlier hosting from those about the one that stands.
 */
export interface Hosting {
  readonly shard: number
  readonly copy: number
  readonly hosting: number
  /** Directory of the volume that the copy is on. */
  readonly volume: string
  readonly directory: string
  /** Whether the copy is new. An absent directory is damage otherwise, never a new shard. */
  readonly create: boolean
}

/** Which copies must hold a record before it is acknowledged, as the coordinator has persisted it. */
export interface InSync {
  /** Grows with each change of the shard's set. */
  readonly version: number
  readonly members: readonly number[]
}

/** A copy as primary of an epoch. */
export interface ReplicaPlace extends Hosting {
  readonly epoch: number
  /**
   * Clients may write here once they know this version of the topology. A batch routed by an older
   * one was on its way when the shard was elsewhere; what its client sent before may be there still.
   */
  readonly topologyVersion: number
  readonly inSync: InSync
  /** Fewer copies in sync than these, and writes wait. */
  readonly minInSync: number
}

/** A copy as backup. */
export interface BackupPlace extends Hosting {
  /** Whom to follow: where its child listens for backups. Nobody yet if absent. */
  readonly primaryAddress?: string
}

/** A primary's wish for another set of copies in sync. */
export interface InSyncChange {
  readonly type: 'add' | 'remove'
  readonly copy: number
  /** Of the copy that joins; 0 for one that leaves. */
  readonly hosting: number
}

export type ToChild =
  | { readonly type: 'configure'; readonly configuration: Configuration }
  /** Be primary. A copy that is hosted as backup already is promoted where it is. */
  | { readonly type: 'open'; readonly place: ReplicaPlace }
  /** Host a copy as backup; of one that is, only whom it follows changes. */
  | { readonly type: 'back'; readonly place: BackupPlace }
  /** The set that is persisted; also the answer to `askSet`, granted or not. */
  | {
      readonly type: 'inSync'
      readonly shard: number
      readonly epoch: number
      readonly inSync: InSync
    }
  | { readonly type: 'release'; readonly shard: number; readonly hosting: number }
  | { readonly type: 'ping'; readonly nonce: number }
  | { readonly type: 'report'; readonly nonce: number }
  /** Finish what is acknowledged, close every shard, exit. */
  | { readonly type: 'stop' }

export type FromChild =
  /** Clients may come straight to this port; 0: they may not. */
  | { readonly type: 'started'; readonly port: number }
  /** The copy is primary: what it inherited is committed, clients are served. */
  | {
      readonly type: 'opened'
      readonly shard: number
      readonly hosting: number
      readonly epoch: number
    }
  /** The copy is open as backup. */
  | { readonly type: 'backing'; readonly shard: number; readonly hosting: number }
  | { readonly type: 'released'; readonly shard: number; readonly hosting: number }
  /** The copy could not be opened, or has ended; the child lives and has let go of it. */
  | {
      readonly type: 'failed'
      readonly shard: number
      readonly hosting: number
      readonly reason: string
      /** What is stored is damaged: opening it again will not help. */
      readonly damaged: boolean
    }
  /** The primary of this epoch wants the set of this version changed; `inSync` must follow. */
  | {
      readonly type: 'askSet'
      readonly shard: number
      readonly epoch: number
      readonly version: number
      readonly change: InSyncChange
    }
  | { readonly type: 'pong'; readonly nonce: number }
  | { readonly type: 'report'; readonly nonce: number; readonly report: ChildReport }

/** What a child measured of itself and its shards. */
export interface ChildReport {
  readonly rssBytes: number
  readonly heapBytes: number
  /** CPU time the process has used since it started. */
  readonly cpuMs: number
  /** Of clients that come straight here. */
  readonly directConnections: number
  /** Those it serves as primary. */
  readonly shards: readonly ShardReport[]
  /** Those it has as backup. */
  readonly copies: readonly CopyReport[]
}

export interface ShardReport {
  readonly shard: number
  readonly epoch: number
  /** Last committed revision. */
  readonly revision: number
  /** Revision up to which the state is stored; the log holds the rest. */
  readonly appliedRevision: number
  /** Keys held. Writes not yet applied count as a key each: exact after a second of quiet. */
  readonly keys: number
  readonly stateBytes: number
  readonly logBytes: number
  readonly overlayBytes: number
  /** Since the shard was opened here. */
  readonly reads: number
  readonly writes: number
  /**
   * From taking a write until it is durable, of the last 10 to 20 seconds, at most a quarter more than
   * it was; absent if there was none. Half of them, or 99 of 100, took no longer.
   */
  readonly writeP50Ms?: number
  readonly writeP99Ms?: number
  /** Why writes are refused at the moment, if they are. */
  readonly writesBlocked?: string
}

/** A copy that follows, as its child sees it. */
export interface CopyReport {
  readonly shard: number
  readonly copy: number
  readonly epoch: number
  /** Last revision of its log. */
  readonly revision: number
  /** Up to here it knows what is committed, and has it in memory or in the state. */
  readonly committedRevision: number
  readonly appliedRevision: number
  readonly stateBytes: number
  readonly logBytes: number
  readonly overlayBytes: number
  /** Since the copy was opened here. */
  readonly reads: number
}

/**
 * Reads a message that came over IPC. The channel is private to the two processes, so its shape is
 * trusted; what is checked is that it is a message at all (Node sends internal ones too).
 */
export function isControl<Message extends { readonly type: string }>(
  message: unknown,
): message is Message {
  return typeof message === 'object' && message !== null && 'type' in message
}
