/**
 * What every keyspace does, wherever it lives: one suite for every home (`home.ts`).
 */
import type { UntypedClient } from '@kv/client'
import { afterAll, beforeAll, describe } from 'vitest'
import { describeAtomic } from './atomic.js'
import { describeConditions } from './conditions.js'
import { describeCounters } from './counters.js'
import { describeExpiry } from './expiry.js'
import type { Home, HomeClock } from './home.js'
import { machineClock } from './home.js'
import { describeKeys } from './keys.js'
import { describeListing } from './listing.js'
import { describeManyAtOnce } from './many-at-once.js'
import { describeNamespaces } from './namespaces.js'
import { describeOrder } from './order.js'
import { describeReadsAndWrites } from './reads-and-writes.js'
import { describeRefusals } from './refusals.js'
import { describeValues } from './values.js'

/** Two clients of the same keyspace, there once tests run, and the time by which it lives. */
export interface Clients {
  readonly client: UntypedClient
  readonly other: UntypedClient
  readonly clock: HomeClock
}

export function describeKeyspace(home: Home): void {
  describe(`keyspace of ${home.name}`, () => {
    let clients: Clients
    beforeAll(async () => {
      const { clock = machineClock } = home
      clients = { client: await home.makeClient(), other: await home.makeClient(), clock }
    })
    afterAll(async () => {
      await clients.client.close()
      await clients.other.close()
    })
    const parts = [
      describeReadsAndWrites,
      describeManyAtOnce,
      describeConditions,
      describeAtomic,
      describeCounters,
      describeExpiry,
      describeKeys,
      describeValues,
      describeListing,
      describeOrder,
      describeNamespaces,
      describeRefusals,
    ]
    for (const part of parts) part(() => clients)
  })
}
