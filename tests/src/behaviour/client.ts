import { describe, expect, test } from 'vitest'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'
import { failureOf } from './rejection.js'

export function describeClient(clients: () => Clients): void {
  describe('a client', () => {
    test('opens with the first call, and says how it is', async () => {
      const client = await clients().makeClient()
      expect(client.status).toBe('idle')
      const events: string[] = []
      client.on('ready', () => events.push('ready'))
      client.on('end', () => events.push('end'))
      const off = client.on('ready', () => events.push('not heard'))
      off()
      await client.has(`${ownPrefix()}key`)
      expect(client.status).toBe('ready')
      await client.connect()
      await client.close()
      expect(client.status).toBe('closed')
      expect(events).toEqual(['ready', 'end'])
    })

    test('close → what was begun is done, what comes later is CLOSED', async () => {
      const { client, makeClient } = clients()
      const closing = await makeClient()
      const key = `${ownPrefix()}key`
      const written = closing.set(key, 'in time')
      const closed = closing.close()
      expect(await failureOf(() => closing.set(key, 'too late'))).toBe('CLOSED not-applied')
      await closed
      expect(await written).toMatchObject({ ok: true })
      expect(await client.get(key)).toBe('in time')
      expect(await failureOf(() => closing.keys().toArray())).toBe('CLOSED not-applied')
      await closing.close()
    })

    test('at the end of its block → closed', async () => {
      const client = await clients().makeClient()
      {
        await using own = client
        await own.has(`${ownPrefix()}key`)
      }
      expect(client.status).toBe('closed')
    })
  })
}
