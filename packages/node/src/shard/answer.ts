/**
 * Answers to calls, before they are put into a reply.
 *
 * Plain ones are plain values (a version, a boolean, nothing); anything with parts is encoded at
 * once, because the memory it is made from may change before the reply leaves.
 */
import type { Fault, Outcome } from '@kv/protocol'
import { ERROR_RULES, FORGOTTEN, MOVED, WireWriter, writeFault } from '@kv/protocol'
import type { ErrorCode } from '@kv/protocol'
import type { LiveHeld } from './held.js'

/** A number, a boolean, nil, or the encoded form of anything else. */
export type Answer = number | boolean | null | Uint8Array

/** Where the answer to one call goes; at most once. */
export interface Answers {
  answer(position: number, answer: Answer): void
}

export function writeAnswer(writer: WireWriter, answer: Answer): void {
  if (typeof answer === 'number') writer.integer(answer)
  else if (typeof answer === 'boolean') writer.boolean(answer)
  else if (answer === null) writer.nil()
  else writer.raw(answer)
}

/** `[version, expiry or 0, value]`, or nil. */
export function writeEntry(writer: WireWriter, held: LiveHeld | undefined): void {
  if (held === undefined) {
    writer.nil()
    return
  }
  writer.array(3)
  writer.integer(held.version)
  writer.integer(held.expiresAt)
  writer.binary(held.memory.bytes, held.start, held.end)
}

/** The value alone, or nil. */
export function writeValue(writer: WireWriter, held: LiveHeld | undefined): void {
  if (held === undefined) writer.nil()
  else writer.binary(held.memory.bytes, held.start, held.end)
}

/** An answer encoded by `write` into memory of its own. */
export function encoded(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter()
  write(writer)
  return writer.written()
}

export function fault(code: ErrorCode, message: string, outcome?: Outcome): Uint8Array {
  const rule = ERROR_RULES[code]
  return encodedFault({ code: rule.wire, outcome: outcome ?? rule.outcome, message })
}

/** The answer to a call that could not be judged, because the stored state could not be read. */
export function unreadable(shard: number, error: unknown): Uint8Array {
  const why = error instanceof Error ? error.message : String(error)
  return fault('UNAVAILABLE', `shard ${shard} can't be read: ${why}`, 'not-applied')
}

/** «Not served here»: nothing was done, and the client asks where the shard is now. */
export const MOVED_ANSWER: Uint8Array = encodedFault({
  code: MOVED,
  outcome: 'not-applied',
  message: '',
})

/** Whether a write that was sent again took effect before can't be told any more. */
export const FORGOTTEN_ANSWER: Uint8Array = encodedFault({
  code: FORGOTTEN,
  outcome: 'unknown',
  message: 'the node no longer remembers this client, so it can not tell whether it was applied',
})

function encodedFault(value: Fault): Uint8Array {
  return encoded((writer) => {
    writeFault(writer, value)
  })
}
