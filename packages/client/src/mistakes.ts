/**
 * Mistakes of the program, with the name of the call they were made in.
 */
import { quoteKey } from './session/call-errors.js'

/** A `TypeError` that says which call, and of which key; any other error as it is. */
export function mistakeIn(call: string, key: unknown, error: unknown): unknown {
  if (!(error instanceof TypeError)) return error
  const place = typeof key === 'string' && key !== '' ? `${call} of ${quoteKey(key)}` : call
  return new TypeError(`${place}: ${error.message}`, { cause: error })
}

/** The promise that `make` returns; what it throws comes as a rejection. */
export function attempt<T>(call: string, key: unknown, make: () => Promise<T>): Promise<T> {
  try {
    return make()
  } catch (error) {
    return rejection(call, key, error)
  }
}

export function rejection(call: string, key: unknown, error: unknown): Promise<never> {
  return Promise.reject(mistakeIn(call, key, error) as Error)
}
