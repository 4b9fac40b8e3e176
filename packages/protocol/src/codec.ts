/**
 * Messages to bytes and back.
 *
 * Strict in both directions: a message that is not exactly of its shape throws `PROTOCOL`, and the
 * connection that carried it must be closed. Views into the received bytes are handed out for
 * `body`: they live as long as the message's memory.
 */
import { clipErrorText, protocolError } from './errors.js'
import { ERROR_TEXT_BYTES_MAX, HELLO_TEXT_BYTES_MAX, MESSAGE_BYTES_MAX } from './limits.js'
import type { ClientMessage, Message, NodeMessage } from './messages.js'
import { MESSAGE_TAGS } from './messages.js'
import { readTopology, writeTopology } from './topology.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const SECRET_BYTES_MAX = 64
const CLUSTER_ID_BYTES_MAX = 64
const NODE_TAG_MIN = 65

/** One message as the payload of one binary WebSocket message. */
export function encodeMessage(message: Message): Uint8Array {
  const writer = writerFor(message)
  if (isFromClient(message)) writeClientMessage(writer, message)
  else writeNodeMessage(writer, message)
  return writer.written()
}

/** The same for a client, which then needs nothing of what nodes say. */
export function encodeClientMessage(message: ClientMessage): Uint8Array {
  const writer = writerFor(message)
  writeClientMessage(writer, message)
  return writer.written()
}

function writerFor(message: Message): WireWriter {
  return new WireWriter(('body' in message ? message.body.length : 0) + 64)
}

/** Clients count from 1, nodes from 65. */
function isFromClient(message: Message): message is ClientMessage {
  return MESSAGE_TAGS[message.type] < NODE_TAG_MIN
}

function writeClientMessage(writer: WireWriter, message: ClientMessage): void {
  switch (message.type) {
    case 'hello':
      begin(writer, message.type, 5)
      writer.integer(message.protocolVersion)
      writer.integer(message.clientId)
      writer.binary(message.secret)
      writer.text(message.token)
      writer.text(message.name)
      return
    case 'batch':
      begin(writer, message.type, 5)
      writer.integer(message.id)
      writer.integer(message.child)
      writer.integer(message.topologyVersion)
      writer.integer(message.remainingMs)
      writer.binary(message.body)
      return
    case 'ping':
      begin(writer, message.type, 1)
      writer.integer(message.nonce)
      return
    case 'watch':
      begin(writer, message.type, 3)
      writer.integer(message.id)
      writer.integer(message.child)
      writer.binary(message.body)
      return
    case 'credit':
    case 'unwatch':
      begin(writer, message.type, 2)
      writer.integer(message.child)
      writer.binary(message.body)
  }
}

function writeNodeMessage(writer: WireWriter, message: NodeMessage): void {
  switch (message.type) {
    case 'welcome':
      begin(writer, message.type, 6)
      writer.integer(message.protocolVersion)
      writer.text(message.clusterId)
      writer.integer(message.clientId)
      writer.binary(message.secret)
      writer.array(3)
      writer.integer(message.limits.valueBytesMax)
      writer.integer(message.limits.messageBytesMax)
      writer.integer(message.limits.inFlightBytesMax)
      writeTopology(writer, message.topology)
      return
    case 'topology':
      begin(writer, message.type, 1)
      writeTopology(writer, message.topology)
      return
    case 'reply':
      begin(writer, message.type, 3)
      writer.integer(message.batchId)
      writer.boolean(message.final)
      writer.binary(message.body)
      return
    case 'refused':
      begin(writer, message.type, 4)
      writer.integer(message.batchId)
      writer.integer(message.code)
      writer.integer(message.outcome)
      writer.text(clipErrorText(message.message))
      return
    case 'pong':
      begin(writer, message.type, 1)
      writer.integer(message.nonce)
      return
    case 'failure':
      begin(writer, message.type, 2)
      writer.integer(message.code)
      writer.text(clipErrorText(message.message))
      return
    case 'event':
      begin(writer, message.type, 2)
      writer.integer(message.child)
      writer.binary(message.body)
      return
    case 'unwatched':
      begin(writer, message.type, 2)
      writer.integer(message.child)
      writer.integer(message.id)
  }
}

function begin(writer: WireWriter, type: Message['type'], fields: number): void {
  writer.array(fields + 1)
  writer.integer(MESSAGE_TAGS[type])
}

/** What a node may receive. */
export function decodeClientMessage(bytes: Uint8Array): ClientMessage {
  const reader = new WireReader(bytes)
  const fields = reader.array(8) - 1
  const tag = reader.unsigned()
  const message = readClientMessage(reader, tag, fields)
  reader.finish()
  return message
}

function readClientMessage(reader: WireReader, tag: number, fields: number): ClientMessage {
  switch (tag) {
    case MESSAGE_TAGS.hello:
      expectFields(tag, fields, 5)
      return {
        type: 'hello',
        protocolVersion: reader.unsigned(),
        clientId: reader.unsigned(),
        secret: reader.binary(SECRET_BYTES_MAX),
        token: reader.text(HELLO_TEXT_BYTES_MAX),
        name: reader.text(HELLO_TEXT_BYTES_MAX),
      }
    case MESSAGE_TAGS.batch:
      expectFields(tag, fields, 5)
      return {
        type: 'batch',
        id: reader.unsigned(),
        child: reader.unsigned(),
        topologyVersion: reader.unsigned(),
        remainingMs: reader.unsigned(),
        body: reader.binary(MESSAGE_BYTES_MAX),
      }
    case MESSAGE_TAGS.ping:
      expectFields(tag, fields, 1)
      return { type: 'ping', nonce: reader.unsigned() }
    case MESSAGE_TAGS.watch:
      expectFields(tag, fields, 3)
      return {
        type: 'watch',
        id: reader.unsigned(),
        child: reader.unsigned(),
        body: reader.binary(MESSAGE_BYTES_MAX),
      }
    case MESSAGE_TAGS.credit:
    case MESSAGE_TAGS.unwatch:
      expectFields(tag, fields, 2)
      return {
        type: tag === MESSAGE_TAGS.credit ? 'credit' : 'unwatch',
        child: reader.unsigned(),
        body: reader.binary(MESSAGE_BYTES_MAX),
      }
    default:
      throw protocolError(`no message from a client has type ${tag}`)
  }
}

/** What a client may receive. */
export function decodeNodeMessage(bytes: Uint8Array): NodeMessage {
  const reader = new WireReader(bytes)
  const fields = reader.array(8) - 1
  const tag = reader.unsigned()
  const message = readNodeMessage(reader, tag, fields)
  reader.finish()
  return message
}

function readNodeMessage(reader: WireReader, tag: number, fields: number): NodeMessage {
  switch (tag) {
    case MESSAGE_TAGS.reply:
      expectFields(tag, fields, 3)
      return {
        type: 'reply',
        batchId: reader.unsigned(),
        final: reader.boolean(),
        body: reader.binary(bytesLeft(reader)),
      }
    case MESSAGE_TAGS.refused:
      expectFields(tag, fields, 4)
      return {
        type: 'refused',
        batchId: reader.unsigned(),
        code: reader.unsigned(),
        outcome: reader.unsigned(),
        message: reader.text(ERROR_TEXT_BYTES_MAX),
      }
    case MESSAGE_TAGS.topology:
      expectFields(tag, fields, 1)
      return { type: 'topology', topology: readTopology(reader) }
    case MESSAGE_TAGS.welcome:
      expectFields(tag, fields, 6)
      return readWelcome(reader)
    case MESSAGE_TAGS.pong:
      expectFields(tag, fields, 1)
      return { type: 'pong', nonce: reader.unsigned() }
    case MESSAGE_TAGS.failure:
      expectFields(tag, fields, 2)
      return {
        type: 'failure',
        code: reader.unsigned(),
        message: reader.text(ERROR_TEXT_BYTES_MAX),
      }
    case MESSAGE_TAGS.event:
      expectFields(tag, fields, 2)
      return { type: 'event', child: reader.unsigned(), body: reader.binary(bytesLeft(reader)) }
    case MESSAGE_TAGS.unwatched:
      expectFields(tag, fields, 2)
      return { type: 'unwatched', child: reader.unsigned(), id: reader.unsigned() }
    default:
      throw protocolError(`no message from a node has type ${tag}`)
  }
}

function readWelcome(reader: WireReader): NodeMessage {
  const protocolVersion = reader.unsigned()
  const clusterId = reader.text(CLUSTER_ID_BYTES_MAX)
  const clientId = reader.unsigned()
  const secret = reader.binary(SECRET_BYTES_MAX)
  reader.tuple(3)
  const limits = {
    valueBytesMax: reader.unsigned(),
    messageBytesMax: reader.unsigned(),
    inFlightBytesMax: reader.unsigned(),
  }
  const topology = readTopology(reader)
  return { type: 'welcome', protocolVersion, clusterId, clientId, secret, limits, topology }
}

function expectFields(tag: number, found: number, due: number): void {
  if (found !== due) throw protocolError(`message ${tag} has ${found} fields, ${due} are due`)
}

function bytesLeft(reader: WireReader): number {
  return reader.end - reader.position
}
