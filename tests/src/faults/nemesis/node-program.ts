/**
 * `kv-node serve` with limits that the command line does not offer: so small that what a node does
 * rarely (applying, dropping segments) is always under way when a fault comes.
 */
import { parseArgs } from 'node:util'
import { startNode, type LogLevel } from '@kv/node'

const OVERLAY_BYTES_MAX = 1_048_576
/** Segments go soon: watchers that are behind are reset, copies that are behind are rebuilt. */
const HISTORY_BYTES_MAX = 1_048_576
/** Where there is one copy of each shard: from what a damaged state is built anew. */
const SNAPSHOTS_EVERY_MS = 2_000

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    'data-dir': { type: 'string', default: '' },
    port: { type: 'string' },
    children: { type: 'string' },
    shards: { type: 'string' },
    'log-level': { type: 'string' },
    'ping-timeout': { type: 'string' },
    'replication-factor': { type: 'string', default: '1' },
    'min-in-sync': { type: 'string' },
    fsync: { type: 'string', default: 'always' },
    'direct-ports': { type: 'string' },
  },
})

const node = await startNode({
  dataDir: values['data-dir'],
  port: Number(values.port),
  children: Number(values.children),
  shards: Number(values.shards),
  pingTimeoutMs: Number(values['ping-timeout']),
  replicationFactor: Number(values['replication-factor']),
  ...(values['min-in-sync'] === undefined ? {} : { minInSync: Number(values['min-in-sync']) }),
  fsync: values.fsync as 'always' | 'everysec',
  directPorts: values['direct-ports'],
  logger: values['log-level'] as LogLevel,
  limits: { overlayBytesMax: OVERLAY_BYTES_MAX, historyBytesMax: HISTORY_BYTES_MAX },
  snapshots: { everyMs: SNAPSHOTS_EVERY_MS },
})
process.once('SIGTERM', () => {
  void node.close().finally(() => process.exit(0))
})
process.stdout.write(`  url ${node.url}\n`)
