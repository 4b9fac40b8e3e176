import { describe, expect, test } from 'vitest'
import type { PeerClient } from '../peers/peer.js'
import { assertAnswers, callsOn, NoSuchCallError } from './calls.js'
import { KeyPool } from './keys.js'
import type { Load, LoadKind } from './load.js'
import { CORE, MANY } from './load.js'

function loadOf(kind: LoadKind): Load {
  return { ...CORE, kind, inFlight: 1, keys: 1_000 }
}

/** Writes down what it is asked. */
function recorder(): { client: PeerClient; asked: [name: string, what: unknown][] } {
  const asked: [string, unknown][] = []
  const record =
    <Answer>(name: string, answer: Answer) =>
    (...what: unknown[]): Promise<Answer> => {
      asked.push([name, what.length === 1 ? what[0] : what])
      return Promise.resolve(answer)
    }
  const client: PeerClient = {
    get: record('get', 'x'),
    set: record('set', 'OK'),
    increment: record('increment', 1),
    getMany: record('getMany', []),
    setMany: record('setMany', 'OK'),
    list: record('list', MANY),
    close: () => Promise.resolve(),
  }
  return { client, asked }
}

async function ask(kind: LoadKind, times: number): Promise<[string, unknown][]> {
  const { client, asked } = recorder()
  let inserted = 0
  const nextNew = (): number => 1_000 + (inserted += 1)
  const call = callsOn({ load: loadOf(kind), pool: new KeyPool(1_000), seed: 3, nextNew })(client)
  for (let time = 0; time < times; time += 1) await call()
  return asked
}

describe('what one call is', () => {
  test('set: a key of the run, a value of the size asked for', async () => {
    const [[name, what] = []] = await ask('set', 1)
    expect(name).toBe('set')
    expect(what).toEqual([expect.stringMatching(/^bench:key:\d{8}$/), 'x'.repeat(100)])
  })

  test('getMany: a hundred different keys', async () => {
    const [[, keys] = []] = await ask('getMany', 1)
    expect(new Set(keys as string[]).size).toBe(MANY)
  })

  test('setMany: a hundred different entries', async () => {
    const [[, entries] = []] = await ask('setMany', 1)
    expect(new Set((entries as [string, string][]).map(([key]) => key)).size).toBe(MANY)
  })

  test('YCSB A: half are reads, half are updates', async () => {
    const asked = await ask('ycsb-a', 10_000)
    const reads = asked.filter(([name]) => name === 'get').length
    expect(Math.abs(reads - 5_000)).toBeLessThan(300)
    expect(asked.filter(([name]) => name === 'set')).toHaveLength(10_000 - reads)
  })

  test('YCSB E: short scans, and inserts of keys that were not there', async () => {
    const asked = await ask('ycsb-e', 10_000)
    const limits = asked.flatMap(([name, what]) =>
      name === 'list' ? (what as [string, number])[1] : [],
    )
    const inserted = asked.flatMap(([name, what]) => (name === 'set' ? (what as string[])[0] : []))
    expect([Math.min(...limits), Math.max(...limits)]).toEqual([1, 100])
    expect(Math.abs(inserted.length - 500)).toBeLessThan(100)
    expect(new Set(inserted).size).toBe(inserted.length)
    expect(inserted[0]).toBe('bench:key:00001001')
  })

  test('a store without such a call has none, and does not fail', () => {
    const { client } = recorder()
    const options = { load: loadOf('setIf'), pool: new KeyPool(1), seed: 1, nextNew: () => 0 }
    expect(() => callsOn(options)(client)).toThrow(NoSuchCallError)
  })

  test('a store that finds nothing is not measured: that would be fast', async () => {
    const { client } = recorder()
    const empty: PeerClient = {
      ...client,
      get: () => Promise.resolve(null),
      list: () => Promise.resolve(0),
    }
    await expect(assertAnswers(empty, loadOf('get'))).rejects.toThrow('there is nothing under')
    await expect(assertAnswers(empty, loadOf('list'))).rejects.toThrow('has 0 entries')
    await assertAnswers(client, loadOf('list'))
  })
})
