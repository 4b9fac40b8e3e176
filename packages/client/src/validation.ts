/**
 * Values against the schema of a namespace, by any validator of the Standard Schema interface.
 */
import { KvError } from '@kv/protocol'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { assertBoolean } from './call-options.js'
import { quoteKey } from './session/call-errors.js'

export interface Validation {
  readonly schema: StandardSchemaV1
  readonly onRead: boolean
}

export function validationOf(schema: unknown, validateOnRead: unknown): Validation | undefined {
  if (validateOnRead !== undefined) assertBoolean('validateOnRead', validateOnRead)
  if (schema === undefined) {
    if (validateOnRead === true) throw new TypeError('validateOnRead needs a schema')
    return undefined
  }
  if (!isStandardSchema(schema)) {
    throw new TypeError(
      "schema is a validator of the Standard Schema interface (has a '~standard' property)",
    )
  }
  return { schema, onRead: validateOnRead === true }
}

function isStandardSchema(schema: unknown): schema is StandardSchemaV1 {
  // Some libraries make their schemas functions.
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false
  const { '~standard': standard } = schema as { '~standard'?: { validate?: unknown } }
  return typeof standard?.validate === 'function'
}

/** What the schema makes of the value. Throws `INVALID_VALUE`, or whatever the validator throws. */
export function validated(schema: StandardSchemaV1, key: string, value: unknown): unknown {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) {
    // Nobody waits for it: a rejection of it is nobody's.
    result.catch(() => {})
    throw new TypeError('the schema of a namespace must validate synchronously; this one is async')
  }
  if (result.issues === undefined) return result.value
  throw new KvError(
    'INVALID_VALUE',
    `the value for ${quoteKey(key)} does not fit the schema: ${inWords(result.issues)}`,
    { issues: result.issues },
  )
}

/** The first issue, and how many more there are; all of them are in `issues`. */
function inWords(issues: readonly StandardSchemaV1.Issue[]): string {
  const first = issues[0]
  if (first === undefined) return 'the validator does not say why'
  const path = first.path?.map((part) => String(typeof part === 'object' ? part.key : part))
  const place = path === undefined || path.length === 0 ? '' : `${path.join('.')}: `
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more, see issues)` : ''
  return `${place}${first.message}${more}`
}
