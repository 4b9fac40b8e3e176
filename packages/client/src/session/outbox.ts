/**
 * Batches on their way: those that wait for room in the window, and those that wait for an answer.
 *
 * The node announces how many bytes may be unanswered (`bytesMax`); what is beyond waits here, in
 * order. There is one outbox per client, for all its ways.
 *
 * A small batch waits for the one before it, for `PATIENCE_MS` at most, and gathers calls meanwhile
 * (as Nagle's algorithm does with small segments, RFC 896). Answers that come from several children
 * one by one would otherwise set off ever smaller batches (ADR 0010).
 */
import type { BatchHead } from '@kv/protocol'
import { encodeBatch, IN_FLIGHT_BYTES_MAX } from '@kv/protocol'
import { TIMER_MS_MAX } from '../clock.js'
import type { Batch } from './batch.js'
import type { SequenceLedger } from './sequence-ledger.js'

/** A batch of fewer calls and fewer bytes is small. */
const SMALL_CALLS = 16
const SMALL_BYTES = 4_096
/** A child that is stuck with one batch may be able to answer another. */
export const PATIENCE_MS = 5

/** What is under way to one child, of reads, of replica reads or of writes. */
interface LaneLoad {
  batches: number
  calls: number
  sentAtMs: number
}

export interface OutboxPorts {
  sendBatch(child: number, bytes: Uint8Array): void
  /** Whether there is a way to the child, now that there is a connection. */
  canReach(child: number): boolean
  /** Bytes that the way to the child counts, beside what is in flight. */
  bytesBehind(child: number): number
}

export class Outbox {
  /** Full batches that may not be sent yet. */
  waiting: Batch[] = []
  /** By id: sent, and not answered completely. */
  readonly inFlight: Map<number, Batch> = new Map()
  bytesMax: number = IN_FLIGHT_BYTES_MAX
  /** Whether the connection takes batches. */
  isOpen: boolean = false
  /** When a small batch that was held back may go, if it has not by then. */
  opensAtMs: number = Infinity
  private readonly loads = new Map<number, LaneLoad>()
  private inFlightBytes = 0
  private newestId = 0
  private readonly ledger: SequenceLedger
  private readonly ports: OutboxPorts

  constructor(ledger: SequenceLedger, ports: OutboxPorts) {
    this.ledger = ledger
    this.ports = ports
  }

  canSend(batch: Batch, now: number): boolean {
    if (!this.isOpen || !this.ports.canReach(batch.child)) return false
    if (this.isEarly(batch, now)) return false
    // A batch larger than the whole window goes alone.
    const before = this.inFlightBytes + this.ports.bytesBehind(batch.child)
    if (before > 0 && before + batch.buffer.bytes > this.bytesMax) return false
    return batch.kind !== 'writes' || this.ledger.hasRoom(batch.buffer.calls.length)
  }

  private isEarly(batch: Batch, now: number): boolean {
    const { calls, bytes } = batch.buffer
    if (batch.kind === 'resends' || calls.length >= SMALL_CALLS || bytes >= SMALL_BYTES)
      return false
    const load = this.loads.get(laneOf(batch))
    if (load === undefined || load.batches === 0) return false
    const opensAtMs = load.sentAtMs + PATIENCE_MS
    if (opensAtMs <= now) return false
    if (opensAtMs < this.opensAtMs) this.opensAtMs = opensAtMs
    return true
  }

  private begin(batch: Batch, now: number): void {
    this.inFlight.set(batch.id, batch)
    this.inFlightBytes += batch.messageBytes
    const lane = laneOf(batch)
    const calls = batch.buffer.calls.length
    const load = this.loads.get(lane)
    if (load === undefined) {
      this.loads.set(lane, { batches: 1, calls, sentAtMs: now })
      return
    }
    load.batches += 1
    load.calls += calls
    load.sentAtMs = now
  }

  /** Sends a batch that `canSend` and has calls, none of them settled. */
  dispatch(batch: Batch, now: number): void {
    const { buffer } = batch
    this.newestId += 1
    batch.id = this.newestId
    const envelope = {
      id: batch.id,
      child: batch.child,
      topologyVersion: batch.topologyVersion,
      remainingMs: Math.min(TIMER_MS_MAX, Math.max(1, Math.ceil(buffer.latestMs - now))),
    }
    const head = this.headOf(batch, now)
    buffer.isSent = true
    const bytes = encodeBatch(envelope, head, buffer.calls.length, buffer.writer)
    batch.messageBytes = bytes.length
    this.begin(batch, now)
    this.ports.sendBatch(batch.child, bytes)
  }

  private headOf(batch: Batch, now: number): BatchHead {
    const { calls } = batch.buffer
    if (batch.kind === 'reads' || batch.kind === 'replicaReads') return { kind: batch.kind }
    for (const call of calls) {
      if (call.isWrite && call.route !== undefined) call.route.writesInFlight += 1
    }
    const { lowWater } = this.ledger
    if (batch.kind === 'resends') {
      return { kind: 'resends', sequences: calls.map((call) => call.sequence), lowWater }
    }
    const firstSequence = this.ledger.issue(calls.length)
    for (let index = 0; index < calls.length; index += 1) {
      const call = calls[index]!
      call.sequence = firstSequence + index
      call.firstSentAt = now
    }
    return { kind: 'writes', firstSequence, lowWater }
  }

  /** Whether a batch with this id was ever sent: an answer to it may come late, but may come. */
  hasSent(id: number): boolean {
    return id >= 1 && id <= this.newestId
  }

  /** Nothing more is expected for this batch. */
  complete(batch: Batch): void {
    if (!this.inFlight.delete(batch.id)) return
    this.inFlightBytes -= batch.messageBytes
    const load = this.loads.get(laneOf(batch))!
    load.batches -= 1
    load.calls -= batch.buffer.calls.length
  }

  /** Reads of both kinds that were sent to a child in batches that are not answered completely. */
  readsUnderWay(child: number): number {
    let calls = 0
    for (const kind of READ_KINDS) calls += this.loads.get(laneOf({ child, kind }))?.calls ?? 0
    return calls
  }

  hasInFlight(child: number): boolean {
    for (const kind of LANES) {
      if ((this.loads.get(laneOf({ child, kind }))?.batches ?? 0) > 0) return true
    }
    return false
  }

  /** The way to these children is gone: hands back what they have not answered, in the order sent. */
  recall(isConcerned: (child: number) => boolean): Batch[] {
    const unanswered = Array.from(this.inFlight.values()).filter(({ child }) => isConcerned(child))
    for (const batch of unanswered) this.complete(batch)
    return unanswered
  }
}

const READ_KINDS = ['reads', 'replicaReads'] as const
const LANES = [...READ_KINDS, 'writes'] as const
const KINDS_APART = 3
const LANE_KINDS = { reads: 0, replicaReads: 1, writes: 2, resends: 2 } as const

function laneOf({ child, kind }: Pick<Batch, 'child' | 'kind'>): number {
  return KINDS_APART * child + LANE_KINDS[kind]
}
