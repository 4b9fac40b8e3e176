/**
 * The body of a batch: what the coordinator carries from client to child without reading it.
 *
 * Four kinds, each one array:
 * - reads `[0, calls]`
 * - writes `[1, first sequence number, low-water mark, calls]`: the calls' sequence numbers are
 *   consecutive, so that none is paid for per call
 * - resent writes `[2, low-water mark, sequence numbers, calls]`: each keeps the number it had
 * - replica reads `[3, calls]`: reads that a backup may answer too
 *
 * The low-water mark says: every call of this client up to this number has been answered, and its
 * result may be forgotten.
 */
import type { Call } from './calls.js'
import { readReadCall, readWriteCall } from './calls.js'
import { protocolError } from './errors.js'
import { BATCH_CALLS_MAX } from './limits.js'
import { MESSAGE_TAGS } from './messages.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const BODY_TAGS = { reads: 0, writes: 1, resends: 2, replicaReads: 3 } as const

export type BatchHead =
  | { readonly kind: 'reads' | 'replicaReads' }
  | { readonly kind: 'writes'; readonly firstSequence: number; readonly lowWater: number }
  | { readonly kind: 'resends'; readonly sequences: readonly number[]; readonly lowWater: number }

export interface BatchEnvelope {
  readonly id: number
  readonly child: number
  readonly topologyVersion: number
  readonly remainingMs: number
}

/** Room to leave in front of the calls for `encodeBatch`, if no call is resent. */
export const BATCH_HEADROOM_BYTES = 96

/** Memory for what goes in front, of one batch at a time. */
const scratch = { body: new WireWriter(), front: new WireWriter() }

/**
 * Puts the envelope and the body's head in front of `callCount` calls that were written to `calls`
 * after `BATCH_HEADROOM_BYTES` of headroom. The calls are not copied unless the head is too long
 * for the headroom, as that of many resent calls is.
 */
export function encodeBatch(
  envelope: BatchEnvelope,
  head: BatchHead,
  callCount: number,
  calls: WireWriter,
): Uint8Array {
  const callBytes = calls.position - BATCH_HEADROOM_BYTES
  const { body, front } = scratch
  body.position = 0
  front.position = 0
  writeHead(body, head, callCount)
  front.array(6)
  front.integer(MESSAGE_TAGS.batch)
  front.integer(envelope.id)
  front.integer(envelope.child)
  front.integer(envelope.topologyVersion)
  front.integer(envelope.remainingMs)
  front.binaryHeader(body.position + callBytes)
  front.raw(body.bytes, 0, body.position)
  return calls.writtenBehind(front, BATCH_HEADROOM_BYTES)
}

function writeHead(writer: WireWriter, head: BatchHead, callCount: number): void {
  switch (head.kind) {
    case 'reads':
    case 'replicaReads':
      writer.array(2)
      writer.integer(BODY_TAGS[head.kind])
      break
    case 'writes':
      writer.array(4)
      writer.integer(BODY_TAGS.writes)
      writer.integer(head.firstSequence)
      writer.integer(head.lowWater)
      break
    case 'resends':
      writer.array(4)
      writer.integer(BODY_TAGS.resends)
      writer.integer(head.lowWater)
      writer.array(head.sequences.length)
      for (const sequence of head.sequences) writer.integer(sequence)
  }
  writer.array(callCount)
}

/** Walks through the calls of a body, in order. Anything malformed throws `PROTOCOL`. */
export class BatchBody {
  readonly kind: BatchHead['kind']
  readonly callCount: number
  readonly byteCount: number
  readonly lowWater: number
  /** Whether all calls are reads, in a batch of their own. */
  readonly isOfReads: boolean
  private readonly firstSequence: number
  private readonly sequences: readonly number[] | undefined
  private readonly reader: WireReader
  private position = 0

  constructor(bytes: Uint8Array) {
    this.byteCount = bytes.length
    const reads = bytes[1] === BODY_TAGS.reads || bytes[1] === BODY_TAGS.replicaReads
    // Keys of reads are not kept; those of writes live on in the overlay.
    this.reader = new WireReader(bytes, { shareText: reads })
    const fields = this.reader.array(4)
    this.kind = kindOf(this.reader.unsigned(), fields)
    this.isOfReads = this.kind === 'reads' || this.kind === 'replicaReads'
    this.firstSequence = this.kind === 'writes' ? this.reader.unsigned() : 0
    this.lowWater = this.isOfReads ? 0 : this.reader.unsigned()
    this.sequences = this.kind === 'resends' ? this.readSequences() : undefined
    this.callCount = this.reader.array(BATCH_CALLS_MAX)
    if (this.sequences !== undefined && this.sequences.length !== this.callCount) {
      throw protocolError('resent calls and their sequence numbers differ in count')
    }
    if (this.callCount === 0) throw protocolError('a batch without calls')
  }

  private readSequences(): number[] {
    const count = this.reader.array(BATCH_CALLS_MAX)
    return Array.from({ length: count }, () => this.reader.unsigned())
  }

  /** Sequence number of the call at `position`; 0 in a batch of either kind of reads. */
  sequenceAt(position: number): number {
    if (this.isOfReads) return 0
    return this.sequences?.[position] ?? this.firstSequence + position
  }

  /** The next call, `callCount` times. */
  next(): Call {
    this.position += 1
    const call = this.isOfReads ? readReadCall(this.reader) : readWriteCall(this.reader)
    if (this.position === this.callCount) this.reader.finish()
    return call
  }
}

function kindOf(tag: number, fields: number): BatchHead['kind'] {
  if (tag === BODY_TAGS.reads && fields === 2) return 'reads'
  if (tag === BODY_TAGS.writes && fields === 4) return 'writes'
  if (tag === BODY_TAGS.resends && fields === 4) return 'resends'
  if (tag === BODY_TAGS.replicaReads && fields === 2) return 'replicaReads'
  throw protocolError(`no batch has kind ${tag} with ${fields} fields`)
}
