/** Redis through ioredis with auto-pipelining, as a Node developer would use it when it matters. */
import type { Result } from 'ioredis'
import { Redis } from 'ioredis'
import type { PeerClient } from './peer.js'
import { changesOf, COMPARE_AND_SET, TELL_CHANGES, TELL_NOTHING } from './redis-features.js'

declare module 'ioredis' {
  interface RedisCommander<Context> {
    compareAndSet(key: string, expected: string, value: string): Result<number, Context>
  }
}

export async function openIoredis(port: number): Promise<Redis> {
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    enableAutoPipelining: true,
    lazyConnect: true,
  })
  // Without a listener it writes what happens to its connections to the console.
  redis.on('error', () => undefined)
  redis.defineCommand('compareAndSet', { numberOfKeys: 1, lua: COMPARE_AND_SET })
  try {
    await redis.connect()
  } catch (error) {
    // It would go on trying for ever.
    redis.disconnect()
    throw error
  }
  return redis
}

export function ioredisPeerClient(redis: Redis): PeerClient {
  let watches = 0
  return {
    get: (key) => redis.get(key),
    set: (key, value) => redis.set(key, value),
    increment: (key) => redis.incr(key),
    setIf: async (key, value) => {
      const held = await redis.get(key)
      return held === null
        ? (await redis.set(key, value, 'NX')) === 'OK'
        : (await redis.compareAndSet(key, held, value)) === 1
    },
    getMany: (keys) => redis.mget(keys as string[]),
    setMany: (entries) => redis.mset(entries.flat()),
    // It tells that a key has changed, not to what; that a user has to ask for, is not counted.
    watch: async (key, onChange) => {
      watches += 1
      await redis.config('SET', ...TELL_CHANGES)
      const subscriber = redis.duplicate()
      subscriber.on('message', (_channel, event) => {
        if (event === 'set') onChange()
      })
      await subscriber.subscribe(changesOf(key))
      return async () => {
        await subscriber.quit()
        watches -= 1
        if (watches === 0) await redis.config('SET', ...TELL_NOTHING)
      }
    },
    close: async () => {
      await redis.quit()
    },
  }
}
