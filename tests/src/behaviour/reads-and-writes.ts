import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'

export function describeReadsAndWrites(clients: () => Clients): void {
  describe('reads and writes', () => {
    test('an absent key → undefined, false', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}absent`
      expect(await client.get(key)).toBe(undefined)
      expect(await client.getEntry(key)).toBe(undefined)
      expect(await client.has(key)).toBe(false)
      expect(await client.delete(key)).toBe(false)
      expect(await client.touch(key, 1_000)).toBe(false)
    })

    test('set → its version, and every read of every client shows it', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      const written = await client.set(key, { name: 'Ada' })
      expect(written).toEqual({ ok: true, version: expect.any(Number) })
      expect(written.version).toBeGreaterThan(0)
      for (const reader of [client, other]) {
        expect(await reader.get(key)).toEqual({ name: 'Ada' })
        expect(await reader.has(key)).toBe(true)
        const entry = await reader.getEntry(key)
        expect(entry).toEqual({ key, value: { name: 'Ada' }, version: written.version })
        expect(entry).not.toHaveProperty('expiresAt')
      }
    })

    test('reads of any copy → give what was written, and the last of it in the end', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const key = `${prefix}key`
      const replica = { consistency: 'replica' } as const
      const range = { prefix, ...replica }
      for (let value = 1; value <= 20; value += 1) {
        await client.set(key, value)
        const found = await other.get(key, replica)
        const written = Array.from({ length: value }, (_, before) => before + 1)
        expect([undefined, ...written]).toContain(found)
      }
      const { version } = (await client.getEntry(key))!
      const entry = { key, value: 20, version }
      // Copies have their turn one after the other.
      for (let inRow = 0; inRow < 4;) inRow = (await other.get(key, replica)) === 20 ? inRow + 1 : 0
      const all = async (): Promise<unknown> =>
        Promise.all([
          other.getEntry(key, replica),
          other.getMany([key, `${key}/none`], replica),
          other.getEntries([key], replica),
          other.has(key, replica),
          other.hasMany([key], replica),
          other.list(range).toArray(),
          other.keys(range).toArray(),
          other.count(range),
        ])
      const expected = [entry, [20, undefined], [entry], true, [true], [entry], [key], 1]
      for (let turn = 0; turn < 2; turn += 1) expect(await all()).toEqual(expected)
    })

    test('set over a value → the new value in a higher version', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const first = await client.set(key, 1)
      const second = await client.set(key, 2)
      expect(second.version).toBeGreaterThan(first.version)
      expect(await client.getEntry(key)).toEqual({ key, value: 2, version: second.version })
    })

    test('delete → true once, then false, and the key is gone', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      await client.set(key, 'here')
      expect(await client.delete(key)).toBe(true)
      expect(await client.delete(key)).toBe(false)
      expect(await client.get(key)).toBe(undefined)
      expect(await other.has(key)).toBe(false)
    })

    test('versions of a key grow through deletion and re-creation', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      let newest = 0
      for (let round = 0; round < 5; round += 1) {
        const { version } = await client.set(key, round)
        expect(version).toBeGreaterThan(newest)
        newest = version
        expect(await client.delete(key)).toBe(true)
      }
    })

    test('false, 0, the empty string and null are values like others', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      for (const value of [false, 0, '', null]) {
        const key = `${prefix}${String(value)}!`
        await client.set(key, value)
        expect(await client.get(key)).toBe(value)
        expect(await client.has(key)).toBe(true)
      }
    })

    test('clear({ prefix }) → the number deleted, and nothing else is gone', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const neighbour = `${prefix.slice(0, -1)}0`
      const keys = Array.from({ length: 2_500 }, (_, index) => `${prefix}${index}`)
      await client.setMany([...keys.map((key) => [key, key] as const), [neighbour, 'stays']])
      expect(await other.clear({ prefix })).toBe(2_500)
      expect(await client.count({ prefix })).toBe(0)
      expect(await client.get(neighbour)).toBe('stays')
      expect(await client.clear({ prefix })).toBe(0)
    })

    test('clear({ prefix }) of one {tag} → its keys, all on one shard', async () => {
      const { client } = clients()
      const prefix = `${ownPrefix()}{tag}/`
      await client.setMany(Array.from({ length: 20 }, (_, index) => [`${prefix}${index}`, index]))
      expect(await client.clear({ prefix })).toBe(20)
      expect(await client.count({ prefix })).toBe(0)
    })
  })
}
