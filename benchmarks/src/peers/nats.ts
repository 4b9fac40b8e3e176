/** NATS KV: a JetStream bucket in files, through the official clients. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { StorageType } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import { Kvm, KvWatchInclude } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import { connect } from '@nats-io/transport-node'
import type { AbsentPeer, Peer, PeerClient } from './peer.js'
import { freePort, ServerProcess, startIfInstalled } from './server-process.js'
import { packageVersion, programVersion } from './versions.js'

const NAME = 'NATS KV'
const BUCKET = 'bench'
const CONFIGURATION = 'nats.conf'
/** JetStream's code for a write on condition of a revision that is not the last one. */
const WRONG_LAST_SEQUENCE = 10_071

export function startNats(): Promise<Peer | AbsentPeer> {
  return startIfInstalled(NAME, 'apt-get install nats-server', startPeer)
}

async function startPeer(): Promise<Peer> {
  const version = await programVersion('nats-server')
  const isSyncing = canSyncAlways(version)
  const port = await freePort()
  const server = await ServerProcess.start({
    command: 'nats-server',
    argumentsFor: (directory) => {
      const path = join(directory, CONFIGURATION)
      const sync = isSyncing ? 'sync_interval: always' : ''
      writeFileSync(
        path,
        `listen: "127.0.0.1:${port}"\nlog_file: "${directory}/nats.log"\njetstream { store_dir: "${directory}"\n${sync} }\n`,
      )
      return ['--config', path]
    },
  })
  const open = async (): Promise<[NatsConnection, KV]> => {
    const connection = await connect({ servers: `127.0.0.1:${port}` })
    const bucket = await new Kvm(connection).create(BUCKET, {
      storage: StorageType.File,
      history: 1,
    })
    return [connection, bucket]
  }
  await server.ready(async () => {
    const [connection] = await open()
    await connection.close()
  })
  const synced = isSyncing
    ? 'sync_interval always: fsync before every acknowledgement'
    : 'which has no sync_interval before 2.10: acknowledges before it syncs, every 2 minutes'
  return {
    name: NAME,
    settings: `nats-server ${version}, JetStream in files, history 1, ${synced}; ${packageVersion('@nats-io/kv')}, : in keys is .`,
    connect: async () => clientOf(...(await open())),
    memoryBytes: () => server.memoryBytes(),
    stop: () => server.stop(),
  }
}

/** It has no increment, no call for many, and none for what begins with a prefix, in order. */
function clientOf(connection: NatsConnection, bucket: KV): PeerClient {
  return {
    get: async (key) => (await bucket.get(subject(key)))?.string(),
    set: (key, value) => bucket.put(subject(key), value),
    setIf: async (key, value) => {
      const held = await bucket.get(subject(key))
      const written =
        held === null
          ? bucket.create(subject(key), value)
          : bucket.update(subject(key), value, held.revision)
      return written.catch(refusal)
    },
    watch: async (key, onChange) => {
      const changes = await bucket.watch({
        key: subject(key),
        include: KvWatchInclude.UpdatesOnly,
      })
      const following = (async () => {
        for await (const change of changes) if (change.operation === 'PUT') onChange()
      })()
      return async () => {
        changes.stop()
        await following
      }
    },
    close: () => connection.close(),
  }
}

/** That the version is another one by now is an answer, and no failure. */
function refusal(error: unknown): false {
  if ((error as { readonly code?: unknown }).code === WRONG_LAST_SEQUENCE) return false
  throw error
}

/** Keys may hold neither `:` nor much else. */
function subject(key: string): string {
  return key.replaceAll(':', '.')
}

function canSyncAlways(version: string): boolean {
  const [major, minor] = version.split('.').map(Number)
  return major! > 2 || (major === 2 && minor! >= 10)
}
