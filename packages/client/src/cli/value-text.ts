/** Values as a command line gives and shows them. Pure. */
import { inspect } from 'node:util'

/** Throws `TypeError` for what is no JSON. */
export function valueOf(text: string, isJson: boolean): unknown {
  if (!isJson) return text
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new TypeError(`the value is not JSON: ${(error as Error).message}`, { cause: error })
  }
}

/** For people: a string as it is, anything else as Node.js shows it. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return inspect(value, { depth: null, maxArrayLength: null, maxStringLength: null })
}

/** For programs, in one line. What JSON does not have becomes the nearest that it has. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, nearest) ?? 'null'
}

function nearest(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)]
  if (value instanceof Set) return [...(value as Set<unknown>)]
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (ArrayBuffer.isView(value))
    return Array.from(value as unknown as ArrayLike<unknown>, nearestOf)
  return value
}

function nearestOf(value: unknown): unknown {
  return nearest('', value)
}
