/**
 * Writes the catalog through the client: `setMany` of a chunk at a time, several chunks in flight.
 * Every write is acknowledged, which means fsynced; a write that fails ends the load.
 */
import type { Keyspace } from '@kv/client'
import type { Catalog, City, CitySchema, NamedCity } from './cities.js'
import { cityKey, nameKey } from './cities.js'
import { chunksOf, forEachInFlight } from './in-flight.js'
import type { Progress } from './progress.js'

const CHUNK_WRITES = 500
const CHUNKS_IN_FLIGHT = 8

export interface Loading {
  readonly signal: AbortSignal
  readonly progress: Progress
}

export async function loadCities(
  kv: Pick<Keyspace<CitySchema>, 'setMany'>,
  { cities }: Catalog,
  { signal, progress }: Loading,
): Promise<void> {
  const write = async (chunk: readonly City[]): Promise<void> => {
    await kv.setMany(
      chunk.map((city) => [cityKey(city.cityId), city] as const),
      { signal },
    )
    progress.advance(chunk.length)
  }
  await forEachInFlight(chunksOf(cities, CHUNK_WRITES), CHUNKS_IN_FLIGHT, write)
}

export async function loadNames(
  kv: Pick<Keyspace<CitySchema>, 'setMany'>,
  { names }: Catalog,
  { signal, progress }: Loading,
): Promise<void> {
  const write = async (
    chunk: readonly (readonly [folded: string, namesakes: readonly NamedCity[]])[],
  ): Promise<void> => {
    await kv.setMany(
      chunk.map(([folded, namesakes]) => [nameKey(folded), namesakes] as const),
      { signal },
    )
    progress.advance(chunk.length)
  }
  await forEachInFlight(chunksOf(names, CHUNK_WRITES), CHUNKS_IN_FLIGHT, write)
}
