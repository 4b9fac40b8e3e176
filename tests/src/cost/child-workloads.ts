/** Batches as the host of a child takes them: one shard, in a directory of its own, with its log. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bodyOf } from './protocol-workloads.js'
import type { Workload } from './workload.js'
import { underWay } from './workload.js'

const BATCH_CALLS = 64
const BATCHES = 16
const CONNECTION = 1

/** What is used of classes that the package does not export. */
interface HostModule {
  readonly Host: new (ports: object) => {
    readonly replicas: { open(hosting: object): Promise<void> }
    attach(link: object): { onFrame(frame: object): void }
    onChunkEnd(): void
    close(): Promise<void>
  }
}

const CONFIGURATION = {
  childId: 1,
  clusterId: 'cluster-1',
  shardCount: 1,
  limits: {
    valueBytesMax: 1_048_576,
    overlayBytesMax: 67_108_864,
    historyBytesMax: 1_048_576,
    historyMsMax: 60_000,
  },
  snapshotsEveryMs: 0,
  logLevel: 'silent',
  replicationAddress: '',
}

const SILENT = { info: ignore, warn: ignore, error: ignore }

function ignore(): void {}

/** The workloads, and what ends the host. */
export async function childWorkloads(): Promise<{ workloads: Workload[]; end(): Promise<void> }> {
  const volume = mkdtempSync(join(tmpdir(), 'kv-cost-'))
  const { Host } = (await import(
    new URL('child/host.js', import.meta.resolve('@kv/node')).href
  )) as HostModule
  const clock = { wallMs: Date.now(), monotonicNs: process.hrtime.bigint().toString() }
  const ports = { logger: SILENT, report: ignore, endProcess: ignore }
  const host = new Host({ ...ports, configuration: { ...CONFIGURATION, clock } })
  let onReply = ignore
  const clients = host.attach({
    reply: (connection: number, _batchId: number, isFinal: boolean, message: Uint8Array) => {
      clients.onFrame({ type: 'window', connection, bytes: message.length })
      if (isFinal) onReply()
    },
  })
  const hosting = { shard: 0, copy: 0, hosting: 1, volume, directory: join(volume, 'shard') }
  const inSync = { version: 1, members: [0] }
  const opening = { epoch: 1, topologyVersion: 1, inSync, minInSync: 1, create: true }
  await host.replicas.open({ ...hosting, ...opening })
  clients.onFrame({ type: 'open', connection: CONNECTION, clientId: 1 })
  let batchId = 0
  function answered(body: Uint8Array): Promise<void> {
    batchId += 1
    const envelope = { connection: CONNECTION, batchId, topologyVersion: 1, remainingMs: 20_000 }
    return new Promise((resolve) => {
      onReply = resolve
      clients.onFrame({ type: 'batch', ...envelope, body })
      host.onChunkEnd()
      underWay.onBatch()
    })
  }
  let nextSequence = 1
  const workloads = [
    batchesOf('sets', () => {
      const firstSequence = nextSequence
      nextSequence += BATCH_CALLS
      return answered(bodyOf('writes', firstSequence))
    }),
    batchesOf('gets', () => answered(bodyOf('reads', 1))),
  ]
  const end = async (): Promise<void> => {
    await host.close()
    rmSync(volume, { recursive: true })
  }
  return { workloads, end }
}

function batchesOf(what: string, answered: () => Promise<void>): Workload {
  return {
    name: `child: batch of ${what}`,
    round: async () => {
      for (let batch = 0; batch < BATCHES; batch += 1) await answered()
      return BATCHES * BATCH_CALLS
    },
  }
}
