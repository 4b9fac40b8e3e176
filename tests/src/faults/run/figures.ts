/**
 * How long a node with many keys and no other trouble takes to serve again: after a child was killed,
 * after one was stopped, and after everything was killed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import { createClient, KvError } from '@kv/client'
import { SeededRandom } from '../../load/seeded-random.js'
import { freePort } from '../../scene/free-port.js'
import { keysOfShard } from '../../scene/placement.js'
import { until } from '../../scene/until.js'
import { NodeUnderFault } from '../nemesis/node-under-fault.js'
import { quantile } from './quantile.js'
import type { RunSettings } from './settings.js'

const SHARDS = 16
const CHILDREN = 4
const BATCH_KEYS = 5_000
const KILLS = 20
const STOPS = 4
const RESTARTS = 3
/** Between two faults: what was moved has come to rest. */
const REST_MS = 600
const GIVE_UP_MS = 20_000
/** A child that has ended so often is started again only after a pause. */
const CRASH_LOOP_PATIENCE_MS = 60_000

export interface Times {
  readonly count: number
  readonly median: number
  readonly p99: number
}

/** How long nobody serves a shard. */
export interface Gap {
  /** Until the first read that is linearizable: there is a primary. */
  readonly read: Times
  /** Until the first acknowledged write: it also has as many copies in sync as writes wait for. */
  readonly write: Times
}

export interface Figures {
  /** Of each shard. */
  readonly copies: number
  readonly keys: number
  /** From kill -9 of a child, each shard that it served. */
  readonly killed: Gap
  /** From SIGSTOP of a child that does not go on, likewise. */
  readonly stopped: Gap
  /** From the start of a coordinator after kill -9 of everything until it says that it serves. */
  readonly restart: Times
}

/** With one copy of each shard, and with two. */
export async function measureFigures(settings: RunSettings): Promise<Figures[]> {
  return [await figuresOf(settings, 1), await figuresOf(settings, 2)]
}

async function figuresOf(settings: RunSettings, replicationFactor: number): Promise<Figures> {
  const directory = await mkdtemp(join(tmpdir(), 'kv-figures-'))
  const port = await freePort()
  const { pingTimeoutMs } = settings
  const node = new NodeUnderFault({
    directory,
    port,
    children: CHILDREN,
    shards: SHARDS,
    pingTimeoutMs,
    replicationFactor,
    logLevel: 'error',
  })
  const reconnect = { baseMs: 5, maxMs: 100 }
  const client = createClient({ url: `kv://127.0.0.1:${port}`, timeout: GIVE_UP_MS, reconnect })
  const random = new SeededRandom(settings.seed)
  try {
    await node.start()
    await fill(client, settings.keys)
    const killed = await gapAfter('SIGKILL', KILLS, { node, client, random })
    const stopped = await gapAfter('SIGSTOP', STOPS, { node, client, random })
    const restarts: number[] = []
    for (let time = 0; time < RESTARTS; time += 1) restarts.push(await restarted(node))
    const restart = timesOf(restarts)
    return { copies: replicationFactor, keys: settings.keys, killed, stopped, restart }
  } finally {
    await client.close()
    await node.close()
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function fill(client: UntypedClient, keys: number): Promise<void> {
  for (let from = 0; from < keys; from += BATCH_KEYS) {
    const length = Math.min(BATCH_KEYS, keys - from)
    const entries = Array.from({ length }, (_, index): [string, unknown] => {
      return [`key/${from + index}`, `value of key ${from + index}`]
    })
    await client.setMany(entries)
  }
}

function timesOf(found: readonly number[]): Times {
  return { count: found.length, median: quantile(found, 0.5), p99: quantile(found, 0.99) }
}

interface Stage {
  readonly node: NodeUnderFault
  readonly client: UntypedClient
  readonly random: SeededRandom
}

/** Takes a child away, so many times, and waits until every shard that it served is served again. */
async function gapAfter(
  signal: 'SIGKILL' | 'SIGSTOP',
  times: number,
  { node, client, random }: Stage,
): Promise<Gap> {
  const reads: number[] = []
  const writes: number[] = []
  for (let time = 0; time < times; time += 1) {
    const hasAll = (): boolean => node.childPids().length === CHILDREN
    await until('every child runs', hasAll, CRASH_LOOP_PATIENCE_MS)
    await node.untilWhole(GIVE_UP_MS)
    await delay(REST_MS)
    const pid = random.pick(node.childPids().filter((each) => node.shardsOf(each).length > 0))
    const keys = node.shardsOf(pid).map((shard) => keysOfShard(shard, SHARDS, 1, 'probe/')[0] ?? '')
    const takenAt = performance.now()
    process.kill(pid, signal)
    await Promise.all(
      keys.flatMap((key) => [
        untilAnswered(() => client.get(key), takenAt).then((ms) => reads.push(ms)),
        untilAnswered(() => client.set(key, takenAt), takenAt).then((ms) => writes.push(ms)),
      ]),
    )
  }
  return { read: timesOf(reads), write: timesOf(writes) }
}

async function untilAnswered(call: () => Promise<unknown>, since: number): Promise<number> {
  for (;;) {
    try {
      await call()
      return performance.now() - since
    } catch (error) {
      // It was sent to the child that died: the next one waits for its successor.
      if (!(error instanceof KvError) || performance.now() - since > GIVE_UP_MS) throw error
    }
  }
}

async function restarted(node: NodeUnderFault): Promise<number> {
  await node.killAll()
  const startedAt = performance.now()
  await node.start()
  return performance.now() - startedAt
}
