/** Redis through its official client, `redis`, which sends what is called in one turn together. */
import { createClient, defineScript } from 'redis'
import type { PeerClient } from './peer.js'
import { changesOf, COMPARE_AND_SET, TELL_CHANGES, TELL_NOTHING } from './redis-features.js'

const compareAndSet = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: COMPARE_AND_SET,
  parseCommand: (parser, key: string, expected: string, value: string) => {
    parser.pushKey(key)
    parser.push(expected, value)
  },
  transformReply: (reply: unknown) => reply as number,
})

export async function openNodeRedis(port: number): Promise<PeerClient> {
  const client = createClient({ socket: { host: '127.0.0.1', port }, scripts: { compareAndSet } })
  // Without a listener an error of a connection would end the process.
  client.on('error', () => undefined)
  await client.connect()
  let watches = 0
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    increment: (key) => client.incr(key),
    setIf: async (key, value) => {
      const held = await client.get(key)
      return held === null
        ? (await client.set(key, value, { condition: 'NX' })) === 'OK'
        : (await client.compareAndSet(key, held, value)) === 1
    },
    getMany: (keys) => client.mGet(keys as string[]),
    setMany: (entries) => client.mSet(entries as [string, string][]),
    // It tells that a key has changed, not to what; that a user has to ask for, is not counted.
    watch: async (key, onChange) => {
      watches += 1
      await client.configSet(...TELL_CHANGES)
      const subscriber = client.duplicate()
      subscriber.on('error', () => undefined)
      await subscriber.connect()
      await subscriber.subscribe(changesOf(key), (event) => {
        if (event === 'set') onChange()
      })
      return async () => {
        await subscriber.close()
        watches -= 1
        if (watches === 0) await client.configSet(...TELL_NOTHING)
      }
    },
    close: () => client.close(),
  }
}
