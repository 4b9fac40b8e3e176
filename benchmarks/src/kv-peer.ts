/** kv itself: `kv-node serve` as a process of its own, relayed through the coordinator. */
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createClient } from '@kv/client'
import type { Peer } from './peer.js'
import { processTimeMs } from './process-time.js'
import { freePort, ServerProcess } from './server-process.js'

const NODE_ENTRY = fileURLToPath(new URL('program/cli/main.js', import.meta.resolve('@kv/node')))

export interface KvPeer extends Peer {
  readonly url: string
  /** Milliseconds of CPU that its processes have used so far, where that is known. */
  cpuMs(): number | undefined
}

export interface KvPeerOptions {
  readonly children?: number
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
  return {
    name: 'kv',
    url,
    settings: `relayed, ${children} children, fsync before every acknowledgement`,
    connect: async () => {
      const client = createClient({ url, direct: false })
      await client.connect()
      return client
    },
    cpuMs: () => processTimeMs(server.pid),
    stop: () => server.stop(),
  }
}

/** What reaches the children too. */
function environmentOf(modules: KvPeerOptions['asModulesAfter']): Record<string, string> {
  if (modules === undefined) return {}
  const imports = modules.map((path) => `--import=${pathToFileURL(path).href}`)
  return { NODE_OPTIONS: ['--conditions=modules', ...imports].join(' ') }
}
