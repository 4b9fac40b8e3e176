/**
 * A page whose connection breaks, and whose node loses a child: the same promises as in Node.js.
 */
import type { UntypedClient } from '@kv/client'
import { createClient } from '@kv/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { outside } from './outside.js'

export function describeLostLines(url: string): void {
  describe('a page that loses its connection', () => {
    test('reconnects by itself; calls made meanwhile are answered', async () => {
      const client = connected(url)
      await client.set('lost/before', 1)
      const reconnecting = event(client, 'reconnecting')
      await outside('cut')
      await reconnecting
      expect(client.status).toBe('reconnecting')
      expect((await client.set('lost/during', 2)).ok).toBe(true)
      expect(await client.getMany(['lost/before', 'lost/during'])).toEqual([1, 2])
      expect(client.status).toBe('ready')
    })

    test('reads under way are sent again', async () => {
      const client = connected(url)
      await client.set('lost/read', 'still here')
      await outside('hold')
      const read = client.get('lost/read')
      const listed = client.keys({ prefix: 'lost/read' }).toArray()
      await outside('cut when held')
      expect(await read).toBe('still here')
      expect(await listed).toEqual(['lost/read'])
    })
  })

  describe('a page whose node loses a child', () => {
    test('P1: what was acknowledged is read from the one that takes over', async () => {
      const client = connected(url)
      const keys = Array.from({ length: 200 }, (_, index) => `killed/${index}`)
      await client.setMany(keys.map((key) => [key, key] as const))
      await outside('kill a child')
      expect(await client.getMany(keys)).toEqual(keys)
      expect((await client.set('killed/after', 1, { timeout: 20_000 })).ok).toBe(true)
    })
  })
}

function connected(url: string): UntypedClient {
  const client = createClient({ url, timeout: 20_000 })
  onTestFinished(() => client.close())
  return client
}

function event(client: UntypedClient, name: 'reconnecting' | 'ready'): Promise<unknown> {
  return new Promise((resolve) => client.on(name, resolve))
}
