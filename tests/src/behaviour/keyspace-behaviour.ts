/**
 * What every keyspace does, wherever it lives: one suite for every home (`home.ts`).
 */
import type { UntypedClient } from '@kv/client'
import { afterAll, beforeAll, describe } from 'vitest'
import { describeAtomic } from './atomic.js'
import { describeClient } from './client.js'
import { describeConditions } from './conditions.js'
import { describeCounters } from './counters.js'
import { describeExpiry } from './expiry.js'
import type { Home, HomeClock } from './home.js'
import { machineClock } from './home.js'
import { describeKeys } from './keys.js'
import { describeListing } from './listing.js'
import { describeLocks } from './locks.js'
import { describeManyAtOnce } from './many-at-once.js'
import { describeNamespaces } from './namespaces.js'
import { describeOrder } from './order.js'
import { describeReadsAndWrites } from './reads-and-writes.js'
import { describeRefusals } from './refusals.js'
import { describeValues } from './values.js'
import { describeWatching } from './watching.js'

/** Two clients of the same keyspace, there once tests run, and the time by which it lives. */
export interface Clients {
  readonly client: UntypedClient
  readonly other: UntypedClient
  readonly clock: HomeClock
  /** Another one, for a test that closes it. */
  readonly makeClient: () => Promise<UntypedClient>
}

export function describeKeyspace(home: Home): void {
  describe(`keyspace of ${home.name}`, () => {
    let clients: Clients
    beforeAll(async () => {
      const { clock = machineClock } = home
      const makeClient = async (): Promise<UntypedClient> => home.makeClient()
      clients = { client: await makeClient(), other: await makeClient(), clock, makeClient }
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
      describeLocks,
      describeCounters,
      describeExpiry,
      describeKeys,
      describeValues,
      describeListing,
      describeOrder,
      describeNamespaces,
      describeWatching,
      describeRefusals,
      describeClient,
    ]
    for (const part of parts) part(() => clients)
  })
}
