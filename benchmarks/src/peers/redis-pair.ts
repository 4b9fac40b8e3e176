/** Redis with one replica, each write acknowledged once both have synced it: its answer to two copies. */
import type { ChainableCommander, Redis } from 'ioredis'
import { Grouping } from './grouping.js'
import { ioredisPeerClient, openIoredis } from './ioredis-client.js'
import type { AbsentPeer, Peer, PeerClient } from './peer.js'
import type { RedisServer } from './redis-server.js'
import { REDIS, REDIS_INSTALL, REDIS_SETTINGS, startRedisServer } from './redis-server.js'
import { startIfInstalled } from './server-process.js'
import { packageVersion, programVersion } from './versions.js'

const NAME = 'redis always, 1 replica and WAIT 1'

type Write = (pipeline: ChainableCommander) => void

export function startRedisPair(): Promise<Peer | AbsentPeer> {
  return startIfInstalled(NAME, REDIS_INSTALL, async () => {
    const version = await programVersion(REDIS)
    const primary = await startRedisServer('always', [['repl-diskless-sync-delay', '0']])
    await primary.ready()
    let replica: RedisServer | undefined
    try {
      replica = await startRedisServer('always', [['replicaof', `127.0.0.1 ${primary.port}`]])
      await replica.process.ready(() => isInSync(primary.port))
    } catch (error) {
      await replica?.process.stop()
      await primary.process.stop()
      throw error
    }
    return peerOf(primary, replica, version)
  })
}

function peerOf(primary: RedisServer, replica: RedisServer, version: string): Peer {
  const processes = [replica.process, primary.process]
  return {
    name: NAME,
    settings: `Redis ${version}, two servers, both ${REDIS_SETTINGS.always}; ${packageVersion('ioredis')}, one WAIT 1 0 behind each pipeline of writes`,
    connect: async () => waitingClient(await openIoredis(primary.port)),
    memoryBytes: () => {
      const [first, second] = processes.map((each) => each.memoryBytes())
      return first === undefined || second === undefined ? undefined : first + second
    },
    stop: async () => {
      for (const each of processes) await each.stop()
    },
  }
}

/**
 * A `WAIT` holds up its connection until the replica has answered. One behind every write would let one
 * write at a time through; one behind all that are sent together covers them all.
 */
function waitingClient(redis: Redis): PeerClient {
  const writes = new Grouping<Write, unknown>((group) => writeAndWait(redis, group))
  const asked = ioredisPeerClient(redis)
  return {
    get: (key) => asked.get(key),
    getMany: (keys) => redis.mget(keys as string[]),
    set: (key, value) => writes.add((pipeline) => pipeline.set(key, value)),
    increment: (key) => writes.add((pipeline) => pipeline.incr(key)),
    setMany: (entries) => writes.add((pipeline) => pipeline.mset(entries.flat())),
    close: () => asked.close(),
  }
}

async function writeAndWait(redis: Redis, group: readonly Write[]): Promise<readonly unknown[]> {
  const pipeline = redis.pipeline()
  for (const write of group) write(pipeline)
  pipeline.wait(1, 0)
  const answers = ((await pipeline.exec()) ?? []).map(([error, answer]) => {
    if (error !== null) throw error
    return answer
  })
  const copies = answers.pop()
  if (copies !== 1) throw new Error(`${String(copies)} replicas have it, instead of 1`)
  return answers
}

/** Resolves once a write has reached the replica. */
async function isInSync(port: number): Promise<void> {
  const redis = await openIoredis(port)
  try {
    await redis.set('bench:ready', '1')
    if ((await redis.wait(1, 100)) !== 1) throw new Error('the replica has not answered yet')
    await redis.del('bench:ready')
  } finally {
    redis.disconnect()
  }
}
