/** kv itself: `kv-node serve` as a process of its own, relayed through the coordinator. */
import { fileURLToPath } from 'node:url'
import { createClient } from '@kv/client'
import type { Peer } from './peer.js'
import { freePort, ServerProcess } from './server-process.js'

const NODE_ENTRY = fileURLToPath(new URL('program/cli/main.js', import.meta.resolve('@kv/node')))

export async function startKv(options: { readonly children?: number } = {}): Promise<Peer> {
  const port = await freePort()
  const url = `kv://127.0.0.1:${port}`
  const children = options.children ?? 2
  const server = await ServerProcess.start(process.execPath, (directory) => [
    NODE_ENTRY,
    'serve',
    `--data-dir=${directory}`,
    `--port=${port}`,
    `--children=${children}`,
    '--log-level=warn',
  ])
  await server.ready(async () => {
    await using probe = createClient(url)
    await probe.connect()
  })
  return {
    name: 'kv',
    settings: `relayed, ${children} children, fsync before every acknowledgement`,
    connect: async () => {
      const client = createClient(url)
      await client.connect()
      return client
    },
    stop: () => server.stop(),
  }
}
