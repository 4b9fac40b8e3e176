/**
 * What a transaction that LMDB gave up means for its process.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { stateDamageIn } from './stored-entry.js'

/**
 * LMDB could not write, though there was space. Memory of the process may be overwritten (lmdb 3.5.6
 * makes its message in a buffer that is too short): nothing more may be served from it.
 */
export class CommitFailed extends Error {
  override readonly name = 'CommitFailed'
}

/** lmdb rejects with a pointer to a promise that rejects with the reason: both are handled here. */
export async function commitFailure(error: unknown): Promise<Error> {
  const told = (error as { readonly commitError?: Promise<never> }).commitError
  const reason: unknown = await Promise.race([
    told?.catch((cause: unknown) => cause) ?? error,
    nextTurn(error),
  ])
  const why = reason instanceof Error ? reason.message : String(reason)
  const what = `the state could not be stored: ${why}`
  // Damage is met before anything is written.
  if (stateDamageIn(reason) !== undefined) return new Error(what, { cause: reason })
  return new CommitFailed(what, { cause: reason })
}
