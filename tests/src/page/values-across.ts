/**
 * What Node.js wrote is read in the page, and the other way round: the two run different code (the
 * platform's text codec, another reader of values) and must agree on every value.
 */
import type { UntypedClient } from '@kv/client'
import { valuesOf } from './any-value.js'

export const VALUES_SEED = 20_260_101
export const VALUES_COUNT = 500

export async function writeValues(client: UntypedClient, prefix: string): Promise<void> {
  const values = valuesOf(VALUES_SEED, VALUES_COUNT)
  await client.setMany(values.map((value, index) => [prefix + index, value] as const))
}

/** Read back, beside what they must be. */
export async function readValues(
  client: UntypedClient,
  prefix: string,
): Promise<{ readonly found: readonly unknown[]; readonly expected: readonly unknown[] }> {
  const expected = valuesOf(VALUES_SEED, VALUES_COUNT)
  const found = await client.getMany(expected.map((_, index) => prefix + index))
  return { found, expected }
}
