/**
 * The body of a reply: answers by position in the batch.
 *
 * `[positions, answers]`; `positions` is nil when the answers are to every call of the batch, in
 * order. An answer has the shape that its call says:
 *
 * | call | answer |
 * | --- | --- |
 * | get | value, or nil |
 * | entry | `[version, expiry or 0, value]`, or nil |
 * | has, delete, touch | boolean |
 * | scan | `[resume or nil, key, version, expiry, value, key, …]` |
 * | count, clear | `[count, resume or nil]` |
 * | set | version; with `ifVersion` refused: the current entry or nil |
 * | deleteIf | true; refused: the current entry or nil |
 * | increment | `[value, version, expiry or 0]` |
 * | lock | version; queued: `[ticket, behind]`; or nil |
 * | unlock | boolean |
 * | atomic | `[version, [result, …]]`; refused: `[0, [position, entry or nil or false, …]]` |
 *
 * Instead of its answer any call may get a *fault*, the one-pair map `{code: [outcome, message]}`.
 * No other answer is a map, so a batch without faults pays nothing for them.
 */
import type { Outcome } from './errors.js'
import { clipErrorText, protocolError } from './errors.js'
import { ERROR_TEXT_BYTES_MAX } from './limits.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** Outcomes by their number on the wire. */
export const OUTCOMES: readonly Outcome[] = ['applied', 'not-applied', 'unknown']

export interface Fault {
  /** Number of an error code, `MOVED` or `FORGOTTEN`. */
  readonly code: number
  readonly outcome: Outcome
  readonly message: string
}

const FAULT_HEAD = 0x81

export function writeFault(writer: WireWriter, fault: Fault): void {
  writer.raw(FAULT_BYTES)
  writer.integer(fault.code)
  writer.array(2)
  writer.integer(OUTCOMES.indexOf(fault.outcome))
  writer.text(clipErrorText(fault.message))
}

const FAULT_BYTES = Uint8Array.of(FAULT_HEAD)

/** The fault that stands in place of the next answer, if one does. */
export function readFault(reader: WireReader): Fault | undefined {
  if (reader.peek() !== FAULT_HEAD) return undefined
  reader.position += 1
  const code = reader.unsigned()
  reader.tuple(2)
  return { code, outcome: outcomeOf(reader.unsigned()), message: reader.text(ERROR_TEXT_BYTES_MAX) }
}

export function outcomeOf(wire: number): Outcome {
  const outcome = OUTCOMES[wire]
  if (outcome === undefined) throw protocolError(`no outcome has number ${wire}`)
  return outcome
}

/** Begins a reply that answers the whole batch: `callCount` answers must follow. */
export function writeFullReplyHead(writer: WireWriter, callCount: number): void {
  writer.array(2)
  writer.nil()
  writer.array(callCount)
}

/** Begins a reply to the calls at `positions`: an answer to each must follow. */
export function writePartReplyHead(writer: WireWriter, positions: readonly number[]): void {
  writer.array(2)
  writer.array(positions.length)
  for (const position of positions) writer.integer(position)
  writer.array(positions.length)
}

/**
 * Reads a reply's head. Returns the positions answered (`undefined`: all `callCount`, in order);
 * as many answers follow.
 */
export function readReplyHead(reader: WireReader, callCount: number): number[] | undefined {
  reader.tuple(2)
  if (reader.skipNil()) {
    reader.tuple(callCount)
    return undefined
  }
  const positions = Array.from({ length: reader.array(callCount) }, () =>
    readPosition(reader, callCount),
  )
  reader.tuple(positions.length)
  return positions
}

function readPosition(reader: WireReader, callCount: number): number {
  const position = reader.unsigned()
  if (position >= callCount) throw protocolError(`answer ${position} in a batch of ${callCount}`)
  return position
}
