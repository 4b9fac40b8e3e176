/**
 * Every message between a client and a node, as one discriminated union.
 *
 * On the wire each is one MessagePack array in one binary WebSocket message; its first item is the
 * number given here. Numbers are never reused. `docs/protocol.md` has the table, the sequences and
 * hex vectors; a new message needs a member here, a case in `codec.ts`, a vector and a table row.
 */
import type { NodeLimits } from './limits.js'
import type { Topology } from './topology.js'

/** Message type → number on the wire: below 64 from the client, above from the node. */
export const MESSAGE_TAGS = {
  hello: 1,
  batch: 2,
  ping: 3,
  watch: 4,
  credit: 5,
  unwatch: 6,
  welcome: 65,
  topology: 66,
  reply: 67,
  refused: 68,
  pong: 69,
  failure: 70,
  event: 71,
  unwatched: 72,
} as const

/** First message of a connection. */
export interface Hello {
  readonly type: 'hello'
  readonly protocolVersion: number
  /** Identity given by an earlier WELCOME, to go on with; 0 asks for a new one. */
  readonly clientId: number
  /** The secret that came with that identity; empty for a new one. */
  readonly secret: Uint8Array
  /** Proof that the client may use the node; empty if none is asked for. */
  readonly token: string
  /** What the client calls itself, for the operator's eyes. */
  readonly name: string
}

/** Calls for the shards of one child. The coordinator relays the body without looking inside. */
export interface Batch {
  readonly type: 'batch'
  /** Names the batch within its connection; grows. */
  readonly id: number
  readonly child: number
  /** The topology the client routed by. A child behind it waits until it has caught up. */
  readonly topologyVersion: number
  /** How long the client still waits; after that nobody needs to start on it. */
  readonly remainingMs: number
  /** See `batch-body.ts`. */
  readonly body: Uint8Array
}

/** Asks for a pong, so that a dead connection is noticed where WebSocket pings can't be sent. */
export interface Ping {
  readonly type: 'ping'
  readonly nonce: number
}

/** Asks a child to tell of changes. The coordinator relays the body without looking inside. */
export interface Watch {
  readonly type: 'watch'
  /** The highest id of the watches in the body; ids grow within a connection. */
  readonly id: number
  readonly child: number
  /** See `watch-body.ts`. */
  readonly body: Uint8Array
}

/** The client takes more events of its watches at a child. */
export interface Credit {
  readonly type: 'credit'
  readonly child: number
  /** See `watch-body.ts`. */
  readonly body: Uint8Array
}

/** The client wants no more events of some watches at a child. */
export interface Unwatch {
  readonly type: 'unwatch'
  readonly child: number
  /** See `watch-body.ts`. */
  readonly body: Uint8Array
}

/** The connection is ready for batches. */
export interface Welcome {
  readonly type: 'welcome'
  readonly protocolVersion: number
  readonly clusterId: string
  /** Grows from one new identity to the next, through restarts of the node too. */
  readonly clientId: number
  readonly secret: Uint8Array
  readonly limits: NodeLimits
  readonly topology: Topology
}

/** The topology has changed. */
export interface TopologyChanged {
  readonly type: 'topology'
  readonly topology: Topology
}

/** Answers to some calls of a batch, or to all. */
export interface Reply {
  readonly type: 'reply'
  readonly batchId: number
  /** No other reply to this batch follows. */
  readonly final: boolean
  /** See `batch-reply.ts`. */
  readonly body: Uint8Array
}

/** What of this batch was not answered yet is refused; `outcome` holds for its writes. */
export interface Refused {
  readonly type: 'refused'
  readonly batchId: number
  /** Number of an error code (`errors.ts`) or `MOVED`. */
  readonly code: number
  /** Index into `OUTCOMES`. */
  readonly outcome: number
  readonly message: string
}

export interface Pong {
  readonly type: 'pong'
  readonly nonce: number
}

/** Why the node is about to close the connection. */
export interface Failure {
  readonly type: 'failure'
  readonly code: number
  readonly message: string
}

/** What happened to the watches of a connection at a child. */
export interface EventMessage {
  readonly type: 'event'
  readonly child: number
  /** See `event-body.ts`. */
  readonly body: Uint8Array
}

/** The child is not there (any more): its watches with ids up to `id` have ended. */
export interface Unwatched {
  readonly type: 'unwatched'
  readonly child: number
  readonly id: number
}

export type ClientMessage = Hello | Batch | Ping | Watch | Credit | Unwatch
export type NodeMessage =
  | Welcome
  | TopologyChanged
  | Reply
  | Refused
  | Pong
  | Failure
  | EventMessage
  | Unwatched
export type Message = ClientMessage | NodeMessage

/** WebSocket close codes: what the other end should make of the end of a connection. */
export const CLOSE_CODES = {
  /** The node shuts down: connect again, here or elsewhere. */
  goingAway: 1001,
  /** The bytes broke the protocol. */
  protocol: 1002,
  /** The client reads too slowly, or said nothing for too long. */
  policy: 1008,
  tooLarge: 1009,
  /** The node restarts: connect again at once. */
  restart: 1012,
  /** Too many connections. */
  tryLater: 1013,
  unauthenticated: 4401,
  forbidden: 4403,
} as const
