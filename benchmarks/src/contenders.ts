/** How each contender is started: the one list to extend when there is another peer. */
import type { ContenderName } from './contender-names.js'
import { startKv } from './peers/kv.js'
import type { AbsentPeer, Peer } from './peers/peer.js'
import { startRedis } from './peers/redis.js'

export type Start = () => Promise<Peer | AbsentPeer>

export const CONTENDERS: Readonly<Record<ContenderName, Start>> = {
  'kv-direct': () => startKv({ direct: true }),
  kv: () => startKv(),
  'kv-everysec': notHere('kv everysec'),
  'kv-copies': notHere('kv, two copies'),
  'redis-always': () => startRedis('always'),
  'redis-everysec': notHere('redis everysec'),
  'redis-none': () => startRedis('none'),
  'redis-replica': notHere('redis, replica and WAIT 1'),
  'node-redis': notHere('node-redis'),
  etcd: notHere('etcd'),
  nats: notHere('NATS KV'),
  'deno-kv': notHere('Deno KV'),
  lmdb: notHere('LMDB in process'),
  map: notHere('Map in process'),
  'raw-log': notHere('raw log'),
}

/** It has its place in the plan, and a row that says so. */
function notHere(name: string): Start {
  return () => Promise.resolve({ name, absent: 'is not measured yet' })
}
