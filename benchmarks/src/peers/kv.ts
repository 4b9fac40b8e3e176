/** kv itself: `kv-node serve` as a process of its own, relayed through the coordinator or direct. */
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { UntypedClient } from '@kv/client'
import { createClient } from '@kv/client'
import type { Peer, PeerClient } from './peer.js'
import { processTimeMs } from '../process-time.js'
import { freePort, ServerProcess } from './server-process.js'

const NODE_ENTRY = fileURLToPath(new URL('program/cli/main.js', import.meta.resolve('@kv/node')))

export interface KvPeer extends Peer {
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
  const children = options.children ?? 2
  const argumentsFor = (directory: string): string[] => [
    NODE_ENTRY,
    'serve',
    `--data-dir=${directory}`,
    `--port=${port}`,
    `--children=${children}`,
    ...(options.connections === undefined ? [] : [`--connections=${options.connections}`]),
    '--log-level=warn',
  ]
  const server = await ServerProcess.start(
    process.execPath,
    argumentsFor,
    environmentOf(options.asModulesAfter),
  )
  await server.ready(async () => {
    await using probe = createClient(url)
    await probe.connect()
  })
  const direct = options.direct ?? false
  const open = async (): Promise<UntypedClient> => {
    const client = createClient({ url, direct })
    await client.connect()
    return client
  }
  return {
    name: direct ? 'kv direct' : 'kv',
    url,
    settings: `${direct ? 'direct' : 'relayed'}, ${children} children, fsync before every acknowledgement`,
    open,
    connect: async () => asPeer(await open()),
    cpuMs: () => processTimeMs(server.pid),
    stop: () => server.stop(),
  }
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
