/** A `redis-server` process with stated durability, and when it is ready. */
import { connect } from 'node:net'
import { freePort, ServerProcess } from './server-process.js'

export const REDIS = 'redis-server'
export const REDIS_INSTALL = 'apt-get install redis-server'

/**
 * `always` syncs before every acknowledgement, as kv does; `everysec`, Redis's usual setting, loses up
 * to a second or two of what was acknowledged; `none` keeps everything in memory.
 */
export type RedisDurability = 'always' | 'everysec' | 'none'

export const REDIS_SETTINGS: Readonly<Record<RedisDurability, string>> = {
  always: 'appendonly yes, appendfsync always',
  everysec: 'appendonly yes, appendfsync everysec',
  none: 'appendonly no',
}

export interface RedisServer {
  readonly port: number
  readonly process: ServerProcess
  /** Resolves when it has answered a get. */
  readonly ready: () => Promise<void>
}

/** Not ready yet. `more` are further settings, as in its configuration file. */
export async function startRedisServer(
  durability: RedisDurability,
  more: readonly (readonly [name: string, value: string])[] = [],
): Promise<RedisServer> {
  const port = await freePort()
  const settings = [
    ['port', String(port)],
    ['bind', '127.0.0.1'],
    ['daemonize', 'no'],
    ['logfile', 'redis.log'],
    // Its snapshots would be one more way to store it all, beside the log.
    ['save', ''],
    ...REDIS_SETTINGS[durability].split(', ').map((setting) => setting.split(' ')),
    ...more,
  ]
  const process = await ServerProcess.start({
    command: REDIS,
    argumentsFor: (directory) =>
      [...settings, ['dir', directory]].flatMap(([name, value]) => [`--${name}`, value as string]),
  })
  return { port, process, ready: () => process.ready(() => answersGet(port)) }
}

/** Rejects as long as it does not listen, or is still loading what it has stored. */
async function answersGet(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('data', (bytes) => {
        resolve(bytes.toString('latin1'))
      })
      socket.write('GET bench:ready\r\n')
    })
    if (!answer.startsWith('$')) throw new Error(`redis-server answers ${answer.trim()}`)
  } finally {
    socket.destroy()
  }
}
