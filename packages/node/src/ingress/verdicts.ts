/** What the relay says by itself, in place of a child; and how it knows that a child says the same. */
import { CLOSE_CODES, MESSAGE_TAGS } from '@kv/protocol'
import type { Connection } from './connection.js'

/** The client has broken the protocol: it is told, and let go. */
export function protocolFailure(connection: Connection, message: string): void {
  connection.fail('PROTOCOL', CLOSE_CODES.protocol, message)
}

/**
 * Whether a child ends the conversation with this message. Its type is the second byte: the first
 * is the array's header, and every type fits one byte.
 */
export function isFailure(message: Uint8Array): boolean {
  return message[1] === MESSAGE_TAGS.failure
}

/** A batch that was handed to nobody, or whose answer does not come. */
export function refuse(
  connection: Connection,
  batchId: number,
  code: number,
  outcome: number,
  message: string,
): void {
  connection.say({ type: 'refused', batchId, code, outcome, message })
}
