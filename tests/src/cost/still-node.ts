/**
 * A node that answers every call of a batch alike, without reading it: what is measured against it is
 * the client. It is a class like the browser's `WebSocket`.
 */
import type { ClientMessage, NodeMessage, Topology } from '@kv/protocol'
import {
  BatchBody,
  decodeClientMessage,
  encodeMessage,
  IN_FLIGHT_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  PROTOCOL_VERSION,
  VALUE_BYTES_MAX,
  WireWriter,
  writeFullReplyHead,
} from '@kv/protocol'
import { underWay } from './workload.js'

const SHARDS = 16
const OPEN = 1

/** Two, of which the second takes its time: so batches come and go while others are under way. */
const TOPOLOGY: Topology = {
  version: 1,
  shardCount: SHARDS,
  children: [1, 2].map((id) => ({ id, port: 0 })),
  primaries: Array.from({ length: SHARDS }, (_, shard) => 1 + (shard % 2)),
  epochs: Array.from({ length: SHARDS }, () => 1),
  backups: [],
}

/** Writes the answer to a call. */
export type WriteAnswer = (writer: WireWriter) => void

export class StillNode {
  /** What every call is answered. */
  static writeAnswer: WriteAnswer = (writer) => {
    writer.nil()
  }

  binaryType = ''
  readyState = 0
  onopen: (() => void) | null = null
  onmessage: ((event: { readonly data: unknown }) => void) | null = null
  onerror: (() => void) | null = null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null = null

  constructor() {
    setImmediate(() => {
      this.readyState = OPEN
      this.onopen?.()
    })
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    const message = decodeClientMessage(bytes)
    if (message.type === 'hello') this.tell(welcome())
    else if (message.type === 'batch') this.answer(message)
  }

  close(code: number): void {
    this.readyState = 0
    setImmediate(() => this.onclose?.({ code, reason: '' }))
  }

  private answer({ id, child, body }: Extract<ClientMessage, { type: 'batch' }>): void {
    underWay.onBatch()
    const { callCount } = new BatchBody(body)
    const writer = new WireWriter()
    writeFullReplyHead(writer, callCount)
    for (let call = 0; call < callCount; call += 1) StillNode.writeAnswer(writer)
    const reply: NodeMessage = { type: 'reply', batchId: id, final: true, body: writer.written() }
    if (child === 1) this.tell(reply)
    else setImmediate(() => this.tell(reply))
  }

  private tell(message: NodeMessage): void {
    const data = Uint8Array.from(encodeMessage(message)).buffer
    setImmediate(() => this.onmessage?.({ data }))
  }
}

function welcome(): NodeMessage {
  return {
    type: 'welcome',
    protocolVersion: PROTOCOL_VERSION,
    clusterId: 'cluster',
    clientId: 1,
    secret: Uint8Array.of(1),
    limits: {
      valueBytesMax: VALUE_BYTES_MAX,
      messageBytesMax: MESSAGE_BYTES_MAX,
      inFlightBytesMax: IN_FLIGHT_BYTES_MAX,
    },
    topology: TOPOLOGY,
  }
}
