/** kv itself: `kv-node serve` as a process of its own, relayed through the coordinator or direct. */
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { UntypedClient } from '@kv/client'
import { createClient } from '@kv/client'
import type { PeerClient, RestartablePeer } from './peer.js'
import { freePort, ServerProcess } from './server-process.js'
import { packageVersion } from './versions.js'

const NODE_ENTRY = fileURLToPath(new URL('program/cli/main.js', import.meta.resolve('@kv/node')))

/** So many keys lie in every shard, so that all have opened when these are answered. */
const READY_KEYS = Array.from({ length: 256 }, (_, index) => `bench:ready:${index}`)

const CHILDREN = 2

export interface KvPeer extends RestartablePeer {
  readonly url: string
  /** A client as such, which can do more than a peer's. */
  open(): Promise<UntypedClient>
  /** Milliseconds of CPU that its processes have used so far, where that is known. */
  cpuMs(): number | undefined
}

export interface KvPeerOptions {
  readonly children?: number
  /** Straight to the children; otherwise relayed through the coordinator. */
  readonly direct?: boolean
  /** Copies of each shard, each in another child, all of them synced before an acknowledgement. */
  readonly replicationFactor?: number
  /** `everysec` acknowledges before it syncs, which it does within a second. */
  readonly fsync?: 'always' | 'everysec'
  /** Clients connected at once. */
  readonly connections?: number
  /**
   * Children run the modules as they were compiled, after these, which may replace methods of them. The
   * programs that are published are bundles, of which nothing can be replaced.
   */
  readonly asModulesAfter?: readonly string[]
}

export async function startKv(options: KvPeerOptions = {}): Promise<KvPeer> {
  const port = await freePort()
  const url = `kv://127.0.0.1:${port}`
  const server = await ServerProcess.start({
    command: process.execPath,
    argumentsFor: (directory) => [
      NODE_ENTRY,
      'serve',
      `--data-dir=${directory}`,
      `--port=${port}`,
      ...flagsOf(options),
    ],
    environment: environmentOf(options.asModulesAfter),
  })
  const ready = (): Promise<void> => server.ready(() => hasAnswered(url))
  await ready()
  const direct = options.direct ?? false
  const open = async (): Promise<UntypedClient> => {
    const client = createClient({ url, direct })
    await client.connect()
    return client
  }
  return {
    name: nameOf(options),
    settings: settingsOf(options),
    url,
    open,
    connect: async () => asPeer(await open()),
    cpuMs: () => server.cpuMs(),
    memoryBytes: () => server.memoryBytes(),
    kill: () => server.kill(),
    restart: async () => {
      await server.restart()
      await ready()
    },
    stop: () => server.stop(),
  }
}

function nameOf({ direct = false, replicationFactor: copies = 1, fsync }: KvPeerOptions): string {
  const name = `kv${direct ? ' direct' : ''}${copies === 1 ? '' : `, ${copies} copies`}`
  return fsync === 'everysec' ? `${name}, everysec` : name
}

function settingsOf(options: KvPeerOptions): string {
  const { direct = false, children = CHILDREN, replicationFactor: copies = 1 } = options
  const what = copies === 1 ? 'fsync' : `fsync of ${copies} copies`
  const when = options.fsync === 'everysec' ? 'every second' : 'before every acknowledgement'
  return `${packageVersion('@kv/node')}, ${children} children, ${what} ${when}; ${packageVersion('@kv/client')}, ${direct ? 'direct' : 'relayed'}`
}

function flagsOf(options: KvPeerOptions): string[] {
  const { children = CHILDREN, replicationFactor: copies, fsync, connections } = options
  return [
    `--children=${children}`,
    '--log-level=warn',
    ...(copies === undefined ? [] : [`--replication-factor=${copies}`, `--min-in-sync=${copies}`]),
    ...(fsync === undefined ? [] : [`--fsync=${fsync}`]),
    ...(connections === undefined ? [] : [`--connections=${connections}`]),
  ]
}

/** Looks for it often: what a client usually waits between two attempts would count as its start. */
async function hasAnswered(url: string): Promise<void> {
  await using probe = createClient({ url, reconnect: { baseMs: 5, maxMs: 10 } })
  await probe.getMany(READY_KEYS)
}

function asPeer(client: UntypedClient): PeerClient {
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    increment: (key) => client.increment(key),
    setIf: async (key, value) => {
      const entry = await client.getEntry(key)
      return client.set(key, value, { ifVersion: entry?.version ?? null })
    },
    getMany: (keys) => client.getMany(keys),
    setMany: (entries) => client.setMany(entries),
    list: async (prefix, limit) => {
      let count = 0
      for await (const entry of client.list({ prefix, limit })) if (entry !== undefined) count += 1
      return count
    },
    watch: async (key, onChange) => {
      const watch = client.watch(key)
      const events = watch[Symbol.asyncIterator]()
      // The first event says that changes arrive from here on.
      await events.next()
      const following = (async () => {
        for (;;) {
          const { done, value } = await events.next()
          if (done === true) return
          if (value.type === 'set') onChange()
        }
      })()
      return async () => {
        await watch[Symbol.asyncDispose]()
        await following
      }
    },
    close: () => client.close(),
  }
}

/** What reaches the children too. */
function environmentOf(modules: KvPeerOptions['asModulesAfter']): Record<string, string> {
  if (modules === undefined) return {}
  const imports = modules.map((path) => `--import=${pathToFileURL(path).href}`)
  return { NODE_OPTIONS: ['--conditions=modules', ...imports].join(' ') }
}
