/** etcd with one member, through etcd3. */
import { Etcd3 } from 'etcd3'
import type { AbsentPeer, Peer, PeerClient } from './peer.js'
import { freePort, ServerProcess, startIfInstalled } from './server-process.js'
import { packageVersion, programVersion } from './versions.js'

const NAME = 'etcd'

export function startEtcd(): Promise<Peer | AbsentPeer> {
  return startIfInstalled(NAME, 'apt-get install etcd-server', startPeer)
}

async function startPeer(): Promise<Peer> {
  const version = await programVersion('etcd')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const peerUrl = `http://127.0.0.1:${await freePort()}`
  const server = await ServerProcess.start({
    command: 'etcd',
    argumentsFor: (directory) => [
      `--data-dir=${directory}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--logger=zap',
      '--log-outputs=etcd.log',
    ],
  })
  await server.ready(async () => {
    const probe = new Etcd3({ hosts: url })
    try {
      await probe.get('bench:ready').exec()
    } finally {
      probe.close()
    }
  })
  return {
    name: NAME,
    settings: `etcd ${version}, one member, defaults: fsync before every acknowledgement; ${packageVersion('etcd3')}`,
    connect: () => Promise.resolve(clientOf(new Etcd3({ hosts: url }))),
    memoryBytes: () => server.memoryBytes(),
    stop: () => server.stop(),
  }
}

/** It has no increment; a transaction may hold 128 calls unless its server is told otherwise. */
function clientOf(etcd: Etcd3): PeerClient {
  return {
    get: (key) => etcd.get(key).string(),
    set: (key, value) => etcd.put(key).value(value).exec(),
    setIf: async (key, value) => {
      const { kvs } = await etcd.get(key).exec()
      // That there is none is a revision, too: 0.
      const revision = kvs[0]?.mod_revision ?? 0
      const put = etcd.put(key).value(value)
      const { succeeded } = await etcd.if(key, 'Mod', '==', revision).then(put).commit()
      return succeeded
    },
    getMany: async (keys) => {
      const success = keys.map((key) => ({ request_range: { key: Buffer.from(key) } }))
      const { responses } = await etcd.kv.txn({ success })
      return responses.map(({ response_range: found }) => found.kvs[0]?.value.toString())
    },
    setMany: async (entries) => {
      const success = entries.map(([key, value]) => ({
        request_put: { key: Buffer.from(key), value: Buffer.from(value) },
      }))
      const { succeeded } = await etcd.kv.txn({ success })
      return succeeded
    },
    list: async (prefix, limit) => {
      const found = await etcd.getAll().prefix(prefix).limit(limit).strings()
      return Object.keys(found).length
    },
    watch: async (key, onChange) => {
      const watcher = await etcd.watch().key(key).create()
      watcher.on('put', onChange)
      return () => watcher.cancel()
    },
    close: () => {
      etcd.close()
      return Promise.resolve()
    },
  }
}
