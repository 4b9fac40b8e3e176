/**
 * What a call rejects with. Calls never throw: a mistake shows as a rejection, too.
 */
import { KvError } from '@kv/client'

/** The error of a call that must fail, and must not throw on the way. */
export async function rejectionOf(call: () => PromiseLike<unknown>): Promise<unknown> {
  const promise = call()
  try {
    const result = await promise
    return new Error(`nothing was refused: ${JSON.stringify(result)}`)
  } catch (error) {
    return error
  }
}

/** `CODE outcome` of a `KvError`, else the name of what was thrown and its message. */
export async function failureOf(call: () => PromiseLike<unknown>): Promise<string> {
  const error = await rejectionOf(call)
  if (error instanceof KvError) return `${error.code} ${error.outcome}`
  if (error instanceof TypeError) return 'TypeError'
  return String(error)
}
