/** Redis through ioredis with auto-pipelining, as a Node developer would use it when it matters. */
import { Redis } from 'ioredis'
import type { AbsentPeer, Peer } from './peer.js'
import { freePort, ServerProcess } from './server-process.js'

/** `always` syncs before every acknowledgement, as kv does; `none` keeps everything in memory. */
export type RedisDurability = 'always' | 'none'

const ALWAYS = '--appendonly yes --appendfsync always'
const NONE = '--appendonly no'

export async function startRedis(durability: RedisDurability): Promise<Peer | AbsentPeer> {
  const name = `redis ${durability}`
  const port = await freePort()
  const log = durability === 'always' ? ALWAYS : NONE
  let server: ServerProcess
  try {
    server = await ServerProcess.start('redis-server', (directory) => [
      ...`--port ${port} --bind 127.0.0.1 --daemonize no --logfile redis.log`.split(' '),
      '--dir',
      directory,
      '--save',
      '',
      ...log.split(' '),
    ])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return { name, absent: 'redis-server is not installed' }
  }
  const connect = async (): Promise<Redis> => {
    const redis = new Redis({
      port,
      host: '127.0.0.1',
      enableAutoPipelining: true,
      lazyConnect: true,
    })
    redis.on('error', () => undefined)
    try {
      await redis.connect()
    } catch (error) {
      // It would go on trying for ever.
      redis.disconnect()
      throw error
    }
    return redis
  }
  await server.ready(async () => {
    const probe = await connect()
    await probe.quit()
  })
  return {
    name,
    settings: `ioredis with auto-pipelining, ${log.replaceAll('--', '')}`,
    connect: async () => {
      const redis = await connect()
      return {
        get: (key) => redis.get(key),
        set: (key, value) => redis.set(key, value),
        close: async () => {
          await redis.quit()
        },
      }
    },
    stop: () => server.stop(),
  }
}
