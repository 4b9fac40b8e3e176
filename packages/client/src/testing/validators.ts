/** Validators of the Standard Schema interface, as libraries make them. */
import type { StandardSchemaV1 } from '@standard-schema/spec'

export type Validator = StandardSchemaV1['~standard']['validate']

export function schemaOf<I = unknown, O = I>(validate: Validator): StandardSchemaV1<I, O> {
  return { '~standard': { version: 1, vendor: 'test', validate } } as StandardSchemaV1<I, O>
}

/** Takes digits, gives a number. */
export const ageSchema: StandardSchemaV1<string, number> = schemaOf((value) =>
  typeof value === 'string' && /^\d+$/.test(value)
    ? { value: Number(value) }
    : { issues: [{ message: 'no number', path: ['years'] }] },
)
