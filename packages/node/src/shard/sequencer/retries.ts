/**
 * Answers writes that were executed before (P4): with the first answer, once that is durable.
 *
 * Refusals were never logged, so a write that was refused and is sent again is judged again, and so
 * is one that never came here: for both, nothing is known and the sequencer goes on.
 */
import { FORGOTTEN_ANSWER } from '../answer.js'
import { FORGOTTEN } from '../sessions/session-table.js'
import type { SessionTable } from '../sessions/session-table.js'
import type { Group } from './group.js'
import type { Origin } from './sequencer.js'

/** Returns whether the write is answered, now or when the entry that holds its result commits. */
export function answerAgain(
  sessions: SessionTable,
  origin: Origin,
  uncommitted: { readonly inFlight: Group | undefined; readonly groups: readonly Group[] },
): boolean {
  const { answers, position } = origin
  const former = sessions.judge(origin)
  if (former === undefined) return false
  if (former === FORGOTTEN) {
    answers.answer(position, FORGOTTEN_ANSWER)
    return true
  }
  const { revision, answer } = former
  const { inFlight, groups } = uncommitted
  const group = inFlight?.holds(revision) ? inFlight : groups.find((each) => each.holds(revision))
  if (group === undefined) answers.answer(position, answer)
  else group.answerAfterCommit(answers, position, answer)
  return true
}
