/**
 * The order of answers: one may tell of what is pending only once that is durable, so it waits in the
 * group it may have looked at.
 *
 * What waits is bounded (P7): a client may put thousands of reads behind one write, and each may have
 * found a large value. Beyond the limit a read is refused; a write never is, it was sequenced already.
 */
import type { Answer, Answers } from '../answer.js'
import { fault } from '../answer.js'
import { answerBytesOf, type Group } from './group.js'

/** Values and pages of one shard that were found and wait for writes before them. */
export const HELD_ANSWER_BYTES_MAX = 16_777_216

interface Groups {
  /** Groups that are not handed to the log yet, in order. */
  readonly groups: readonly Group[]
  readonly inFlight: Group | undefined
}

export function answerInOrder(
  { groups, inFlight }: Groups,
  answers: Answers,
  position: number,
  answer: Answer | (() => Answer),
): void {
  const last = groups.at(-1) ?? inFlight
  if (last === undefined) {
    answers.answer(position, typeof answer === 'function' ? answer() : answer)
    return
  }
  const heldBytes = groups.reduce((bytes, group) => bytes + group.answerBytes, 0)
  const isTooMuch =
    heldBytes + (inFlight?.answerBytes ?? 0) + answerBytesOf(answer) > HELD_ANSWER_BYTES_MAX
  if (isTooMuch) answers.answer(position, tooMuch())
  else last.answerAfterCommit(answers, position, answer)
}

function tooMuch(): Answer {
  return fault(
    'OVERLOADED',
    `answers of ${HELD_ANSWER_BYTES_MAX} bytes wait for writes that were made before them: ` +
      'await the writes first, or read less at a time',
  )
}
