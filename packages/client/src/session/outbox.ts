/**
 * Batches on their way: those that wait for room in the window, and those that wait for an answer.
 *
 * The node announces how many bytes may be unanswered (`bytesMax`); what is beyond waits here, in
 * order. There is one outbox per connection.
 */
import type { BatchHead } from '@kv/protocol'
import { encodeBatch, IN_FLIGHT_BYTES_MAX } from '@kv/protocol'
import { TIMER_MS_MAX } from '../clock.js'
import type { Batch } from './batch.js'
import type { SequenceLedger } from './sequence-ledger.js'

export class Outbox {
  /** Full batches that may not be sent yet. */
  waiting: Batch[] = []
  /** By id: sent, and not answered completely. */
  readonly inFlight: Map<number, Batch> = new Map()
  bytesMax: number = IN_FLIGHT_BYTES_MAX
  /** Whether the connection takes batches. */
  isOpen: boolean = false
  private inFlightBytes = 0
  private newestId = 0
  private readonly ledger: SequenceLedger
  private readonly send: (bytes: Uint8Array) => void

  constructor(ledger: SequenceLedger, send: (bytes: Uint8Array) => void) {
    this.ledger = ledger
    this.send = send
  }

  canSend(batch: Batch): boolean {
    if (!this.isOpen) return false
    // A batch larger than the whole window goes alone.
    const after = this.inFlightBytes + batch.buffer.bytes
    if (this.inFlightBytes > 0 && after > this.bytesMax) return false
    return batch.kind !== 'writes' || this.ledger.hasRoom(batch.buffer.calls.length)
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
    const head = this.headOf(batch)
    buffer.isSent = true
    const bytes = encodeBatch(envelope, head, buffer.calls.length, buffer.writer)
    batch.messageBytes = bytes.length
    this.inFlightBytes += bytes.length
    this.inFlight.set(batch.id, batch)
    this.send(bytes)
  }

  private headOf(batch: Batch): BatchHead {
    const { calls } = batch.buffer
    if (batch.kind === 'reads') return { kind: 'reads' }
    for (const call of calls) {
      if (call.isWrite && call.route !== undefined) call.route.writesInFlight += 1
    }
    const { lowWater } = this.ledger
    if (batch.kind === 'resends') {
      return { kind: 'resends', sequences: calls.map((call) => call.sequence), lowWater }
    }
    const firstSequence = this.ledger.issue(calls.length)
    for (let index = 0; index < calls.length; index += 1) {
      calls[index]!.sequence = firstSequence + index
    }
    return { kind: 'writes', firstSequence, lowWater }
  }

  /** Whether a batch with this id was ever sent: an answer to it may come late, but may come. */
  hasSent(id: number): boolean {
    return id >= 1 && id <= this.newestId
  }

  /** Nothing more is expected for this batch. */
  complete(batch: Batch): void {
    if (this.inFlight.delete(batch.id)) this.inFlightBytes -= batch.messageBytes
  }

  /** The connection is gone: hands back what it had not answered, in the order sent. */
  close(): Batch[] {
    this.isOpen = false
    const unanswered = Array.from(this.inFlight.values())
    this.inFlight.clear()
    this.inFlightBytes = 0
    return unanswered
  }
}
