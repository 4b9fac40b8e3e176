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

  describe('a page that watches', () => {
    test('P6: through cuts, and the loss of a child, every change comes once', async () => {
      const client = connected(url)
      const key = 'watched/key'
      const watch = client.watch(key)[Symbol.asyncIterator]()
      expect((await watch.next()).value).toMatchObject({ type: 'ready' })
      const writer = connected(url)
      const acknowledged: number[] = []
      for (const deed of ['cut', 'kill a child', 'cut'] as const) {
        await outside(deed)
        for (let index = 0; index < 20; index += 1) {
          // One that lost its answer may have been written: then it is seen, too.
          const written = await writer.set(key, index).catch(() => undefined)
          if (written !== undefined) acknowledged.push(written.version)
        }
      }
      await deleteForSure(writer, key)
      const seen: number[] = []
      for (;;) {
        const { value: event } = await watch.next()
        expect(event?.type).not.toBe('reset')
        if (event?.type === 'delete') break
        if (event?.type === 'set') seen.push(event.version)
      }
      await watch.return?.()
      expect(seen).toEqual([...new Set(seen)].toSorted((one, other) => one - other))
      expect(acknowledged.filter((version) => !seen.includes(version))).toEqual([])
      expect(acknowledged.length).toBeGreaterThan(40)
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

/** However often the answer is lost. */
async function deleteForSure(client: UntypedClient, key: string): Promise<void> {
  while (await client.delete(key).then(Boolean, () => true)) {
    // It was there, or nobody knows: ask again until it is gone.
  }
}
