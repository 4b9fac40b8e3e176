/** How each contender is started: the one list to extend when there is another peer. */
import type { ContenderName } from './contender-names.js'
import { startDenoKv } from './peers/deno-kv.js'
import { startEtcd } from './peers/etcd.js'
import { startKv } from './peers/kv.js'
import { startLmdb } from './peers/lmdb.js'
import { startMap } from './peers/map.js'
import { startNats } from './peers/nats.js'
import type { AbsentPeer, Peer } from './peers/peer.js'
import { startRawLog } from './peers/raw-log.js'
import { startRedis } from './peers/redis.js'
import { startRedisPair } from './peers/redis-pair.js'

export type Start = () => Promise<Peer | AbsentPeer>

export const CONTENDERS: Readonly<Record<ContenderName, Start>> = {
  'kv-direct': () => startKv({ direct: true }),
  kv: () => startKv(),
  'kv-everysec': () => startKv({ direct: true, fsync: 'everysec' }),
  'kv-copies': () => startKv({ direct: true, replicationFactor: 2 }),
  'redis-always': () => startRedis('always'),
  'redis-everysec': () => startRedis('everysec'),
  'redis-none': () => startRedis('none'),
  'redis-replica': startRedisPair,
  'node-redis': () => startRedis('always', 'node-redis'),
  etcd: startEtcd,
  nats: startNats,
  'deno-kv': startDenoKv,
  lmdb: startLmdb,
  map: startMap,
  'raw-log': startRawLog,
}
