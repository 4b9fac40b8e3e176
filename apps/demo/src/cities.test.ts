import { describe, expect, it } from 'vitest'
import { catalogOf, fold, readCatalog } from './cities.js'

describe('fold', () => {
  it.each([
    ['São Paulo', 'sao paulo'],
    ['Zürich', 'zurich'],
    ['İstanbul', 'istanbul'],
    ['Ağrı', 'agrı'],
    // A letter of its own, not an l with a mark: it stays what it is.
    ['Łódź', 'łodz'],
    ['Weißkirchen', 'weißkirchen'],
    ['Ⅷ ﬁ ｗｉｄｅ', 'viii fi wide'],
    ['Санкт-Петербург', 'санкт-петербург'],
    ['Йошкар-Ола', 'иошкар-ола'],
    ['قرية المدي', 'قرية المدي'],
  ])('%s → %s', (name, folded) => {
    expect(fold(name)).toBe(folded)
  })

  it('composed and decomposed → the same', () => {
    expect(fold('São Paulo'.normalize('NFD'))).toBe(fold('São Paulo'.normalize('NFC')))
  })

  it('every name of the package → folds to itself from then on, and is not empty', () => {
    const folded = [...readCatalog().names.keys()]
    expect(folded.filter((name) => name === '' || fold(name) !== name)).toEqual([])
  })
})

describe('readCatalog', () => {
  it('the package → 135,233 cities, each under its name once', () => {
    const { cities, names } = readCatalog()
    expect(cities).toHaveLength(135_233)
    expect(new Set(cities.map(({ cityId }) => cityId)).size).toBe(135_233)
    const named = [...names.values()].flatMap((namesakes) => namesakes.map(({ cityId }) => cityId))
    expect(named.toSorted((a, b) => a - b)).toEqual(
      cities.map(({ cityId }) => cityId).toSorted((a, b) => a - b),
    )
  })

  it('with a limit → the most populous ones', () => {
    const { cities } = readCatalog(3)
    expect(cities.map(({ name }) => name)).toEqual(['Shanghai', 'Istanbul', 'Buenos Aires'])
  })
})

describe('catalogOf', () => {
  it('two cities of one folded name → one index key with both, the larger first', () => {
    const city = (cityId: number, name: string, population: number) => ({
      ...readCatalog(1).cities[0]!,
      cityId,
      name,
      population,
    })
    const { names } = catalogOf([city(1, 'Sao Tome', 5), city(2, 'São Tomé', 70), city(3, 'X', 1)])
    expect([...names.keys()]).toEqual(['sao tome', 'x'])
    expect(names.get('sao tome')?.map(({ cityId }) => cityId)).toEqual([2, 1])
  })
})
