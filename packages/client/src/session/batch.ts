/**
 * A batch: calls for the shards of one child that travel in one message.
 *
 * Reads and writes travel apart, so that no read waits for an fsync; replica reads too, because a
 * backup answers nothing else. Calls that were sent before
 * travel apart from new ones, because they name their sequence numbers one by one.
 */
import type { BatchHead, WireWriter } from '@kv/protocol'
import { CallBuffer } from './call-buffer.js'
import type { PendingCall } from './pending-call.js'

export type BatchKind = BatchHead['kind']

export class Batch {
  readonly child: number
  readonly kind: BatchKind
  /** The topology its calls were routed by. */
  readonly topologyVersion: number
  readonly buffer: CallBuffer
  /** Names it within the connection; 0 until it is sent. */
  id = 0
  /** Size of its message, once sent. */
  messageBytes = 0

  constructor(child: number, kind: BatchKind, topologyVersion: number, writer: WireWriter) {
    this.child = child
    this.kind = kind
    this.topologyVersion = topologyVersion
    this.buffer = new CallBuffer(writer)
  }
}

/** The batches of one child that still take calls. */
export class ChildLanes {
  readonly child: number
  reads: Batch | undefined = undefined
  replicaReads: Batch | undefined = undefined
  writes: Batch | undefined = undefined
  /** Whether it is in the batcher's list of lanes with calls. */
  isListed = false

  constructor(child: number) {
    this.child = child
  }

  /** Reads that wait to be sent. */
  get unsentReads(): number {
    return callsIn(this.reads) + callsIn(this.replicaReads)
  }
}

function callsIn(batch: Batch | undefined): number {
  return batch === undefined ? 0 : batch.buffer.calls.length
}

/** The kind of batch that `call` must travel in to the primary. */
export function batchKindOf(call: PendingCall): BatchKind {
  if (!call.isOrdered) return 'reads'
  return call.sequence === 0 ? 'writes' : 'resends'
}
