/**
 * The answer of a write, derived from the entry that records it: the one place that knows how.
 *
 * The sequencer answers with it at first, and a replay finds it again, so that a retry gets the same
 * answer whether or not the node was restarted in between.
 */
import { protocolError, readNumberValue } from '@kv/protocol'
import type { Answer } from '../answer.js'
import { encoded } from '../answer.js'
import type { Effect, ReadEntry } from '../sequencer/record.js'
import { RESULT_KINDS } from '../sequencer/record.js'

/** The answer of an entry that has these effects. */
export function recordedAnswer(entry: ReadEntry, effects: readonly Effect[]): Answer {
  const { resultKind, revision, answer } = entry
  switch (resultKind) {
    case RESULT_KINDS.version:
      return revision
    case RESULT_KINDS.done:
      return true
    case RESULT_KINDS.counter:
      return recordedCounter(revision, effects)
    case RESULT_KINDS.count:
      return clearAnswer(effects.length, undefined)
  }
  if (answer !== undefined) return answer
  throw protocolError(`an entry has result kind ${resultKind}, which this version does not know`)
}

/** `[value, version, expiry]`. */
export function counterAnswer(value: number, revision: number, expiresAt: number): Uint8Array {
  return encoded((writer) => {
    writer.array(3)
    writer.number(value)
    writer.integer(revision)
    writer.integer(expiresAt)
  })
}

function recordedCounter(revision: number, effects: readonly Effect[]): Answer {
  // The last one: before it may stand the end of what was there.
  const effect = effects.at(-1)
  if (effect?.type !== 'put') throw protocolError('a counter was recorded without its value')
  const { memory, start, end, expiresAt } = effect.held
  const value = readNumberValue(memory.bytes, start, end)
  if (value === undefined) throw protocolError('a counter was recorded with what is no number')
  return counterAnswer(value, revision, expiresAt)
}

/** `[count, where to go on]`. */
export function clearAnswer(count: number, resume: string | undefined): Uint8Array {
  return encoded((writer) => {
    writer.array(2)
    writer.integer(count)
    if (resume === undefined) writer.nil()
    else writer.text(resume)
  })
}
