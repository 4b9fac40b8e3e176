/**
 * Finds cities by the beginning of their names: one scan of the index keys under the folded
 * prefix. The scan yields names in order; the largest cities of them are what a person means.
 */
import type { Keyspace } from '@kv/client'
import type { Catalog } from './cities.js'
import type { CitySchema, NamedCity } from './city-keys.js'
import { byPopulation, fold, nameKey } from './city-keys.js'

const PAGE_NAMES = 1_000

export interface Search {
  /** How many cities to show. */
  readonly limit: number
  readonly signal: AbortSignal
}

export interface Found {
  /** The largest first, at most as many as asked for. */
  readonly cities: readonly NamedCity[]
  /** How many there are. */
  readonly total: number
  readonly elapsedMs: number
}

export async function search(
  kv: Pick<Keyspace<CitySchema>, 'list'>,
  typed: string,
  { limit, signal }: Search,
): Promise<Found> {
  const startMs = performance.now()
  const cities: NamedCity[] = []
  const names = kv.list({ prefix: nameKey(fold(typed)), pageSize: PAGE_NAMES, signal })
  for await (const { value } of names) cities.push(...value)
  const elapsedMs = performance.now() - startMs
  return { cities: largest(cities, limit), total: cities.length, elapsedMs }
}

/** The same without the store: what a search must find. */
export function searchCatalog({ names }: Catalog, typed: string, limit: number): Found {
  const startMs = performance.now()
  const prefix = fold(typed)
  const cities = [...names].flatMap(([name, namesakes]) =>
    name.startsWith(prefix) ? namesakes : [],
  )
  const elapsedMs = performance.now() - startMs
  return { cities: largest(cities, limit), total: cities.length, elapsedMs }
}

function largest(cities: NamedCity[], limit: number): NamedCity[] {
  return cities.sort(byPopulation).slice(0, limit)
}
