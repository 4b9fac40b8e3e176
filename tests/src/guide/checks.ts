/**
 * What the comments of an example say, checked while it runs. A copy of this file lies beside each
 * example, which imports it: it must stand alone.
 */
import { isDeepStrictEqual } from 'node:util'

/** `…` in the place of a value. */
export const ANYTHING: unique symbol = Symbol('…')
/** `…` at the end of an object: it may have more fields. */
export const MORE: unique symbol = Symbol(', …')

/** Throws if `actual` is not what the comment at `place` says. */
export function check(actual: unknown, expected: unknown, place: string): void {
  if (!fits(actual, expected)) {
    throw new Error(`${place}: ${inWords(expected)} is said, and ${inWords(actual)} came`)
  }
}

/** Throws if `work` does not fail with this code, or an error of this name. */
export async function checkFailure(
  work: () => unknown,
  codeOrName: string,
  place: string,
): Promise<void> {
  let came = 'nothing was thrown'
  try {
    await work()
  } catch (error) {
    const { code, name, message } = error as Error & { code?: unknown }
    if (code === codeOrName || name === codeOrName) return
    came = `${name} ${String(code)}: ${message}`
  }
  throw new Error(`${place}: ${codeOrName} is said, and ${came}`)
}

function fits(actual: unknown, expected: unknown): boolean {
  if (expected === ANYTHING) return actual !== undefined
  if (!isPlain(expected)) return isDeepStrictEqual(actual, expected)
  if (Array.isArray(expected) !== Array.isArray(actual)) return false
  if (typeof actual !== 'object' || actual === null) return false
  const found = actual as Record<string, unknown>
  const names = Object.keys(expected)
  const hasMore = MORE in expected
  if (!hasMore && names.length !== Object.keys(found).length) return false
  return names.every((name) => name in found && fits(found[name], expected[name]))
}

function isPlain(value: unknown): value is Record<string | symbol, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === Object.prototype
}

function inWords(value: unknown): string {
  if (value instanceof Error) return String(value)
  return JSON.stringify(value, (_, part: unknown) => (part === ANYTHING ? '…' : part)) ?? 'nothing'
}
