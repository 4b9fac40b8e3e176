/**
 * Lies told to a history: one answer becomes what a broken store would have given.
 */
import type { SeededRandom } from '../../load/seeded-random.js'
import type { Answer, Operation } from '../history/operation.js'

/** The history with one answer changed; `undefined` if this kind of lie does not fit it. */
export type Mutation = (
  history: readonly Operation[],
  random: SeededRandom,
) => Operation[] | undefined

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a read shows a value of another time': (history, random) => {
    const values = history.flatMap(({ action }) => (action.type === 'set' ? [action.value] : []))
    return changed(history, random, (answer) => {
      if (answer.type !== 'read' || values.length === 0) return undefined
      const value = random.pick(values)
      return value === answer.found?.value ? undefined : { type: 'read', found: { value } }
    })
  },
  'from some moment on reads show nothing': (history, random) => {
    const from = random.below(history.length / 2)
    const lost: Answer = { type: 'read', found: undefined }
    return history.map((operation, index) =>
      index >= from && operation.answer?.type === 'read'
        ? { ...operation, answer: lost }
        : operation,
    )
  },
  'a version is that of another write': (history, random) => {
    const versions = history.flatMap(({ answer }) =>
      answer?.type === 'written' ? [answer.version] : [],
    )
    return changed(history, random, (answer) => {
      if (answer.type !== 'written') return undefined
      const version = random.pick(versions)
      return version === answer.version ? undefined : { ...answer, version }
    })
  },
  'a counter counts once more': (history, random) =>
    changed(history, random, (answer, { action }) =>
      answer.type === 'written' && action.type === 'increment'
        ? { ...answer, value: (answer.value ?? 0) + action.by }
        : undefined,
    ),
  'what was there was not': (history, random) =>
    changed(history, random, (answer) =>
      answer.type === 'deleted' ? { type: 'deleted', existed: !answer.existed } : undefined,
    ),
  'an acknowledged write was never made': (history, random) => {
    const shown = new Set(
      history.flatMap(({ answer }) => (answer?.type === 'read' ? [answer.found?.value] : [])),
    )
    const read = [...history.keys()].filter((index) => {
      const action = history[index]?.action
      return action?.type === 'set' && shown.has(action.value)
    })
    return read.length === 0 ? undefined : history.toSpliced(random.pick(read), 1)
  },
}

function changed(
  history: readonly Operation[],
  random: SeededRandom,
  change: (answer: Answer, operation: Operation) => Answer | undefined,
): Operation[] | undefined {
  const possible = history.flatMap((operation, index) => {
    const answer = operation.answer === undefined ? undefined : change(operation.answer, operation)
    return answer === undefined ? [] : [{ index, operation: { ...operation, answer } }]
  })
  if (possible.length === 0) return undefined
  const { index, operation } = random.pick(possible)
  return history.with(index, operation)
}
