import { describe, expect, it } from 'vitest'
import type { Catalog } from './cities.js'
import { cityKey, fold, nameKey, readCatalog } from './cities.js'
import { verify } from './verify.js'

const catalog = readCatalog(1_200)
const paulo = catalog.cities.find(({ name }) => name === 'São Paulo')!
const cityOfPaulo = cityKey(paulo.cityId)
const nameOfPaulo = nameKey(fold(paulo.name))

/** A keyspace of just these values. */
function keyspaceOf(values: ReadonlyMap<string, unknown>) {
  return {
    getMany: async (keys: readonly string[]) => {
      await Promise.resolve()
      return keys.map((key) => values.get(key)) as never
    },
  }
}

/** What a node that works has; values are copies, as they are when they come over a wire. */
function storedOf({ cities, names }: Catalog): Map<string, unknown> {
  const records = cities.map((city) => [cityKey(city.cityId), structuredClone(city)] as const)
  const index = [...names].map(
    ([name, cities]) => [nameKey(name), structuredClone(cities)] as const,
  )
  return new Map<string, unknown>([...records, ...index])
}

async function verifyWith(change: (values: Map<string, unknown>) => void) {
  const values = storedOf(catalog)
  change(values)
  let read = 0
  const progress = { advance: (count: number): void => void (read += count) }
  const { signal } = new AbortController()
  const verification = await verify(keyspaceOf(values), catalog, { signal, progress })
  expect(read).toBe(catalog.cities.length + catalog.names.size)
  return verification
}

describe('verify', () => {
  it('everything as it was → all verified', async () => {
    expect(await verifyWith(() => {})).toEqual({ cities: 1_200, verified: 1_200, mismatches: [] })
  })

  it('a record is gone → one city is not verified', async () => {
    const { verified, mismatches } = await verifyWith((values) => values.delete(cityOfPaulo))
    expect(verified).toBe(1_199)
    expect(mismatches).toEqual([{ key: cityOfPaulo, problem: 'missing' }])
  })

  it.each([
    ['a number is off by one', { ...paulo, population: paulo.population + 1 }],
    [
      'a coordinate, deep inside, differs',
      { ...paulo, loc: { ...paulo.loc, coordinates: [0, 0] } },
    ],
    ['a field more', { ...paulo, mayor: 'somebody' }],
    ['a number as text', { ...paulo, cityId: String(paulo.cityId) }],
  ])('%s → different', async (_situation, changed) => {
    const { verified, mismatches } = await verifyWith((values) => values.set(cityOfPaulo, changed))
    expect(verified).toBe(1_199)
    expect(mismatches).toEqual([{ key: cityOfPaulo, problem: 'different' }])
  })

  it('a name that leads nowhere → its cities are not verified', async () => {
    const { verified, mismatches } = await verifyWith((values) => values.delete(nameOfPaulo))
    expect(verified).toBe(1_199)
    expect(mismatches).toEqual([{ key: nameOfPaulo, problem: 'missing' }])
  })

  it('record and name of one city are wrong → counts the city once', async () => {
    const { verified, mismatches } = await verifyWith((values) => {
      values.delete(cityOfPaulo)
      values.set(nameOfPaulo, [])
    })
    expect(verified).toBe(1_199)
    expect(mismatches).toHaveLength(2)
  })
})
