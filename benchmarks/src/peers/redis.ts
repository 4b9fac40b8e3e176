/** Redis: one server, through either of its two clients. */
import { ioredisPeerClient, openIoredis } from './ioredis-client.js'
import { openNodeRedis } from './node-redis-client.js'
import type { AbsentPeer, PeerClient, RestartablePeer } from './peer.js'
import type { RedisDurability } from './redis-server.js'
import { REDIS, REDIS_INSTALL, REDIS_SETTINGS, startRedisServer } from './redis-server.js'
import { startIfInstalled } from './server-process.js'
import { packageVersion, programVersion } from './versions.js'

export type RedisClient = 'ioredis' | 'node-redis'

interface ClientKind {
  readonly package: string
  readonly settings: string
  connect(port: number): Promise<PeerClient>
}

const CLIENTS: Readonly<Record<RedisClient, ClientKind>> = {
  ioredis: {
    package: 'ioredis',
    settings: 'auto-pipelining',
    connect: async (port) => ioredisPeerClient(await openIoredis(port)),
  },
  'node-redis': { package: 'redis', settings: 'pipelining as it is', connect: openNodeRedis },
}

/** It can be killed; what it then has, is what its durability promises. */
export function startRedis(
  durability: RedisDurability,
  client: RedisClient = 'ioredis',
): Promise<RestartablePeer | AbsentPeer> {
  const name = client === 'ioredis' ? `redis ${durability}` : `redis ${durability}, ${client}`
  return startIfInstalled(name, REDIS_INSTALL, () => startPeer(name, durability, CLIENTS[client]))
}

async function startPeer(
  name: string,
  durability: RedisDurability,
  client: ClientKind,
): Promise<RestartablePeer> {
  const version = await programVersion(REDIS)
  const { port, process, ready } = await startRedisServer(durability)
  await ready()
  return {
    name,
    settings: `Redis ${version}, ${REDIS_SETTINGS[durability]}; ${packageVersion(client.package)}, ${client.settings}`,
    connect: () => client.connect(port),
    memoryBytes: () => process.memoryBytes(),
    kill: () => process.kill(),
    restart: async () => {
      await process.restart()
      await ready()
    },
    stop: () => process.stop(),
  }
}
