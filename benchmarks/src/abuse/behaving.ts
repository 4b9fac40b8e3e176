/**
 * Clients that behave: each has one call under way, reads and writes by turns, at a rate that stays the
 * same whatever else goes on, so that runs can be compared.
 */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import { createClient } from '@kv/client'
import type { LatencySummary } from '../latencies.js'
import { Latencies } from '../latencies.js'

const CLIENTS = 16
const KEYS = 20_000
const VALUE = 'x'.repeat(90)

export interface Behaviour {
  readonly seconds: number
  /** Calls a second, of all together. */
  readonly rate: number
}

export interface Times {
  readonly get: LatencySummary
  readonly set: LatencySummary
  /** What the rate comes to; some of it is not made if the node takes twice as long. */
  readonly due: number
  readonly made: number
  readonly failed: number
}

export async function fill(client: UntypedClient): Promise<void> {
  const entries = Array.from({ length: KEYS }, (_, index) => [`key:${index}`, VALUE] as const)
  await client.setMany(entries)
}

/** Connects, and measures whenever it is told to. */
export async function behave(port: number): Promise<void> {
  const clients = Array.from({ length: CLIENTS }, () =>
    createClient({ url: `kv://127.0.0.1:${port}`, direct: false }),
  )
  await Promise.all(clients.map((client) => client.connect()))
  process.send?.('ready')
  for (;;) {
    const [behaviour] = (await once(process, 'message')) as [Behaviour]
    process.send?.(await measure(clients, behaviour))
  }
}

async function measure(clients: readonly UntypedClient[], behaviour: Behaviour): Promise<Times> {
  const times = { get: new Latencies(), set: new Latencies() }
  const everyMs = (clients.length / behaviour.rate) * 1_000
  const beginAt = performance.now() + everyMs
  const calls = Math.floor((behaviour.seconds * 1_000) / everyMs)
  const giveUpAt = beginAt + 2_000 * behaviour.seconds
  let made = 0
  let failed = 0
  const one = async (client: UntypedClient, number: number): Promise<void> => {
    for (let call = 0; call < calls; call += 1) {
      const dueAt = beginAt + (call + number / clients.length) * everyMs
      const beforeMs = dueAt - performance.now()
      if (beforeMs > 0) await delay(beforeMs)
      if (performance.now() > giveUpAt) return
      // A call that had to wait for the one before it has waited for the node, too.
      const startedAt = beforeMs > 0 ? performance.now() : dueAt
      const key = `key:${(number * 7_919 + call * 104_729) % KEYS}`
      const isRead = (call + number) % 2 === 0
      try {
        await (isRead ? client.get(key) : client.set(key, VALUE))
      } catch {
        failed += 1
      }
      made += 1
      times[isRead ? 'get' : 'set'].add(performance.now() - startedAt)
    }
  }
  await Promise.all(clients.map(one))
  return {
    get: times.get.summary(),
    set: times.set.summary(),
    due: calls * clients.length,
    made,
    failed,
  }
}
