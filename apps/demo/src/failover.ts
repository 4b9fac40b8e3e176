/**
 * Ends one shard child with SIGKILL and measures, through the client, how long its shards are away.
 *
 * Which key belongs to which shard is the store's business, so the probes are keys enough to meet
 * every shard: those of living children answer at once, and the slowest tells when the last of the
 * lost shards was served again.
 */
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Keyspace } from '@kv/client'
import { KvError } from '@kv/client'
import type { KvNode } from '@kv/node'
import type { City, CitySchema } from './cities.js'
import { cityKey } from './cities.js'

/** 256 keys miss one of 16 shards once in a million runs. */
const PROBES = 256
const READS_IN_FLIGHT = 1_000
const REPEAT_PAUSE_MS = 5
const REPEAT_MS_MAX = 20_000

export interface Victim {
  readonly child: number
  readonly pid: number
  /** How many shards it was primary of. */
  readonly shards: number
}

export interface Recovery {
  /** From the signal to the answer of the slowest read. */
  readonly readMs: number
  /** From the signal to the acknowledgement of the slowest write. */
  readonly writeMs: number
  /** Writes whose answer was lost with the child, so that they were sent again. */
  readonly repeated: number
  /** Reads that were under way when the signal was sent. */
  readonly inFlight: number
  /** How many of them gave something else than was stored. */
  readonly wrong: number
}

export interface Kill {
  readonly victim: Victim
  readonly recovery: Promise<Recovery>
}

/** Resolves when the signal is sent: the shards of the victim are away then. */
export async function killOneChild(
  node: Pick<KvNode, 'topology'>,
  kv: Pick<Keyspace<CitySchema>, 'get' | 'getMany' | 'set'>,
  cities: readonly City[],
  signal: AbortSignal,
): Promise<Kill> {
  const victim = chooseVictim(node)
  const asked = spread(cities, READS_IN_FLIGHT)
  const underWay = kv.getMany(
    asked.map(({ cityId }) => cityKey(cityId)),
    { signal },
  )
  // Should the kill itself fail, nobody waits for these reads.
  underWay.catch(() => undefined)
  await nextTurn()
  process.kill(victim.pid, 'SIGKILL')
  const killedMs = performance.now()
  const sinceKill = (): number => performance.now() - killedMs
  const probes = spread(cities, PROBES)
  const reads = probes.map(async ({ cityId }) => {
    await kv.get(cityKey(cityId), { signal })
    return sinceKill()
  })
  let repeated = 0
  const writes = probes.map(async (city) => {
    const write = (): Promise<unknown> => kv.set(cityKey(city.cityId), city, { signal })
    if ((await untilDone(write)) > 1) repeated += 1
    return sinceKill()
  })
  const recover = async (): Promise<Recovery> => {
    const [values, readsMs, writesMs] = await Promise.all([
      underWay,
      Promise.all(reads),
      Promise.all(writes),
    ])
    const wrong = asked.filter((city, index) => !isDeepStrictEqual(values[index], city)).length
    return {
      readMs: Math.max(...readsMs),
      writeMs: Math.max(...writesMs),
      repeated,
      inFlight: asked.length,
      wrong,
    }
  }
  return { victim, recovery: recover() }
}

/** The child that is primary of the most shards. */
export function chooseVictim(node: Pick<KvNode, 'topology'>): Victim {
  const { children, shards } = node.topology()
  const [victim] = children
    .filter(({ pid }) => pid > 0)
    .map(({ id, pid }) => ({
      child: id,
      pid,
      shards: shards.filter(({ primary }) => primary === id).length,
    }))
    .sort((a, b) => b.shards - a.shards)
  if (victim === undefined) throw new Error('the node has no child with a process')
  return victim
}

/**
 * The client resends reads by itself. A write that was on its way to the lost child may have been
 * applied, so it leaves the decision to us; these write what is there anyway. Returns the attempts.
 */
async function untilDone(write: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  for (let attempts = 1; ; attempts += 1) {
    try {
      await write()
      return attempts
    } catch (error) {
      const isLost = error instanceof KvError && (error.retryable || error.outcome === 'unknown')
      if (!isLost || performance.now() - startMs > REPEAT_MS_MAX) throw error
    }
    await delay(REPEAT_PAUSE_MS)
  }
}

/** Up to `count` of the items, evenly from first to last. */
function spread<Item>(items: readonly Item[], count: number): Item[] {
  const step = Math.max(1, items.length / count)
  return Array.from({ length: Math.min(count, items.length) }, (_, index) => {
    return items[Math.floor(index * step)] as Item
  })
}
