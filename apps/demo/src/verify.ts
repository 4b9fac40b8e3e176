/**
 * Reads everything back and compares every field with the package.
 *
 * A city is verified when its record is equal to the package's and the index key of its folded
 * name is, too: then it can be found by its id and by its name.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Keyspace } from '@kv/client'
import type { Catalog, CityKey, CitySchema, NameKey } from './cities.js'
import { cityKey, nameKey } from './cities.js'
import { chunksOf, forEachInFlight } from './in-flight.js'
import type { Progress } from './progress.js'

const CHUNK_READS = 500
const CHUNKS_IN_FLIGHT = 8

export interface Mismatch {
  readonly key: string
  readonly problem: 'missing' | 'different'
}

export interface Verification {
  readonly cities: number
  readonly verified: number
  readonly mismatches: readonly Mismatch[]
}

export interface Verifying {
  readonly signal: AbortSignal
  /** Counts the keys read: cities, then names. */
  readonly progress: Pick<Progress, 'advance'>
}

interface Expected {
  readonly key: CityKey | NameKey
  readonly value: unknown
  /** The cities this key speaks for. */
  readonly cityIds: readonly number[]
}

export async function verify(
  kv: Pick<Keyspace<CitySchema>, 'getMany'>,
  catalog: Catalog,
  { signal, progress }: Verifying,
): Promise<Verification> {
  const mismatches: Mismatch[] = []
  const failed = new Set<number>()
  await forEachInFlight(chunksOf(expect(catalog), CHUNK_READS), CHUNKS_IN_FLIGHT, async (chunk) => {
    const values = await kv.getMany(
      chunk.map(({ key }) => key),
      { signal },
    )
    for (const [index, { key, value, cityIds }] of chunk.entries()) {
      const found = values[index]
      if (isDeepStrictEqual(found, value)) continue
      mismatches.push({ key, problem: found === undefined ? 'missing' : 'different' })
      for (const cityId of cityIds) failed.add(cityId)
    }
    progress.advance(chunk.length)
  })
  const cities = catalog.cities.length
  return { cities, verified: cities - failed.size, mismatches }
}

function* expect({ cities, names }: Catalog): Generator<Expected> {
  for (const city of cities) {
    yield { key: cityKey(city.cityId), value: city, cityIds: [city.cityId] }
  }
  for (const [folded, namesakes] of names) {
    const cityIds = namesakes.map(({ cityId }) => cityId)
    yield { key: nameKey(folded), value: namesakes, cityIds }
  }
}
