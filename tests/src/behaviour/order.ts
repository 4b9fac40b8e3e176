import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'

export function describeOrder(clients: () => Clients): void {
  describe('order', () => {
    test('a client reads its own writes without awaiting them', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const writes: Promise<unknown>[] = [client.set(key, 1), client.set(key, 2)]
      expect(await client.get(key)).toBe(2)
      const changed = client.set(key, 3)
      const entry = client.getEntry(key)
      const found = client.getMany([key, key])
      expect(await entry).toEqual({ key, value: 3, version: (await changed).version })
      expect(await found).toEqual([3, 3])
      writes.push(client.delete(key))
      expect(await client.has(key)).toBe(false)
      writes.push(client.increment(key, 7))
      expect(await client.get(key)).toBe(7)
      await Promise.all(writes)
    })

    test('a read shows what was written before it, not what the client writes after it', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const writes: Promise<unknown>[] = [client.set(key, 1)]
      const value = client.get(key)
      writes.push(client.set(key, 2))
      const entry = client.getEntry(key)
      writes.push(client.delete(key))
      const has = client.has(key)
      writes.push(client.set(key, 3))
      expect([await value, (await entry)?.value, await has]).toEqual([1, 2, false])
      await Promise.all(writes)
      expect(await client.get(key)).toBe(3)
    })

    test('a list and a count see the writes made before them', async () => {
      const { client } = clients()
      const prefix = ownPrefix()
      const written = client.setMany(
        Array.from({ length: 300 }, (_, index) => [`${prefix}${index}`, index] as const),
      )
      const count = client.count({ prefix })
      const keys = client.keys({ prefix }).toArray()
      expect(await count).toBe(300)
      expect(await keys).toHaveLength(300)
      await written
    })

    test('writes of one client to one key take effect in call order (P4)', async () => {
      const { client } = clients()
      const key = `${ownPrefix()}key`
      const versions = await Promise.all(
        Array.from({ length: 1_000 }, (_, index) => client.set(key, index)),
      )
      const inOrder = versions.map(({ version }) => version)
      expect(inOrder).toEqual(inOrder.toSorted((left, right) => left - right))
      expect(new Set(inOrder).size).toBe(1_000)
      expect(await client.get(key)).toBe(999)
    })

    test('what one client was acknowledged every other client reads (P3)', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      for (let value = 1; value <= 100; value += 1) {
        const writer = value % 2 === 0 ? client : other
        const reader = value % 2 === 0 ? other : client
        await writer.set(key, value)
        expect(await reader.get(key)).toBe(value)
      }
    })

    test('values that are read never go back (P3)', async () => {
      const { client, other } = clients()
      const key = `${ownPrefix()}key`
      let isWriting = true
      const writing = (async () => {
        for (let value = 1; value <= 300; value += 1) await client.set(key, value)
        isWriting = false
      })()
      let newest = 0
      while (isWriting) {
        const value = (await other.get<number>(key)) ?? 0
        expect(value).toBeGreaterThanOrEqual(newest)
        newest = value
      }
      await writing
      expect(await other.get(key)).toBe(300)
    })
  })
}
