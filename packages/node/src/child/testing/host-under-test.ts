/** A host of real shards, with the coordinator's end of both channels in the test's hands. */
import { join } from 'node:path'
import type { Call } from '@kv/protocol'
import { pino } from 'pino'
import type { Configuration, FromChild } from '../../link/control.js'
import type { ReplyEnd } from '../../link/data-link.js'
import type { Clients } from '../clients.js'
import { Host } from '../host.js'
import type { ReadReply } from './batches.js'
import { gather, readReply, readsBody, writesBody } from './batches.js'
import { until } from './fake-shard.js'

export interface SentReply {
  readonly connection: number
  readonly batchId: number
  readonly final: boolean
  readonly message: Uint8Array
}

/** A number is used once, also where another host takes the directory over. */
let nextSequence = 1_000

/** What a host may be told otherwise. */
export interface HostSettings {
  readonly childId?: number
  readonly overlayBytesMax?: number
  readonly replicationAddress?: string
}

export function configurationOf(settings: HostSettings = {}): Configuration {
  const { childId = 1, overlayBytesMax = 67_108_864, replicationAddress = '' } = settings
  return {
    childId,
    clusterId: 'cluster-1',
    shardCount: 1,
    clock: { wallMs: Date.now(), monotonicNs: process.hrtime.bigint().toString() },
    limits: {
      valueBytesMax: 1_048_576,
      overlayBytesMax,
      historyBytesMax: 1_048_576,
      historyMsMax: 60_000,
    },
    fsync: 'always',
    jumps: false,
    snapshotsEveryMs: 0,
    logLevel: 'silent',
    replicationAddress,
  }
}

export class HostUnderTest {
  readonly host: Host
  readonly clients: Clients
  readonly reports: FromChild[] = []
  /** What the host says goes here, too. */
  onReport: (message: FromChild) => void = () => undefined
  readonly sent: SentReply[] = []
  /** Why the process would have ended. */
  readonly ends: Error[] = []
  private readonly root: string
  private nextBatchId = 1
  /** Bytes of answers that the link has not taken. */
  bufferedBytes = 0

  constructor(root: string, settings: HostSettings = {}) {
    this.root = root
    this.host = new Host({
      logger: pino({ level: 'silent' }),
      report: (message) => {
        this.reports.push(message)
        this.onReport(message)
      },
      endProcess: (reason) => void this.ends.push(reason),
      configuration: configurationOf(settings),
    })
    const bufferedBytes = (): number => this.bufferedBytes
    const link: Pick<ReplyEnd, 'reply' | 'bufferedBytes'> = {
      get bufferedBytes() {
        return bufferedBytes()
      },
      reply: (connection, batchId, final, message) => {
        this.sent.push({ connection, batchId, final, message: Buffer.from(message) })
      },
    }
    this.clients = this.host.attach(link as ReplyEnd)
  }

  /** By which batches are routed, and with which shards are opened. */
  topologyVersion = 1

  get directory(): string {
    return join(this.root, 'shard')
  }

  open(epoch: number = 1): Promise<void> {
    const { directory, topologyVersion } = this
    const create = epoch === 1
    const volume = this.root
    const inSync = { version: 1, members: [0] }
    const hosting = { shard: 0, copy: 0, hosting: epoch, volume, directory, create }
    return this.host.replicas.open({ ...hosting, epoch, topologyVersion, inSync, minInSync: 1 })
  }

  /** Hosts a new copy that follows nobody. */
  back(): Promise<void> {
    const { directory } = this
    const volume = this.root
    const hosting = { shard: 0, copy: 1, hosting: 1, volume, directory, create: true }
    return this.host.replicas.back(hosting)
  }

  connect(connection: number = 1): void {
    this.clients.onFrame({ type: 'open', connection, clientId: 10 + connection })
  }

  /** Sends a batch and resolves with its answers. */
  async write(calls: readonly Call[], connection: number = 1): Promise<unknown[]> {
    const body = writesBody(calls, nextSequence)
    nextSequence += calls.length
    return this.answersTo(this.send(body, connection), calls.length)
  }

  async read(calls: readonly Call[], connection: number = 1): Promise<unknown[]> {
    return this.answersTo(this.send(readsBody(calls), connection), calls.length)
  }

  /** Returns the batch's id. */
  send(body: Uint8Array, connection: number = 1, remainingMs: number = 20_000): number {
    const batchId = this.nextBatchId++
    this.clients.onFrame({
      type: 'batch',
      connection,
      batchId,
      topologyVersion: this.topologyVersion,
      remainingMs,
      body,
    })
    this.host.onChunkEnd()
    return batchId
  }

  async answersTo(batchId: number, callCount: number): Promise<unknown[]> {
    await until(() => this.sent.some((each) => each.batchId === batchId && each.final))
    return gather(this.repliesTo(batchId, callCount), callCount)
  }

  repliesTo(batchId: number, callCount: number): ReadReply[] {
    return this.sent
      .filter((each) => each.batchId === batchId)
      .map(({ message }) => readReply(message, callCount))
  }
}
