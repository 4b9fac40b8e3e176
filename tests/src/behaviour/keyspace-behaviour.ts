/**
 * What every keyspace does, wherever it lives: one suite for one child, many children, and whatever
 * else claims to be a keyspace.
 */
import type { UntypedClient } from '@kv/client'
import { afterAll, beforeAll, describe } from 'vitest'
import { describeConditions } from './conditions.js'
import { describeCounters } from './counters.js'
import { describeExpiry } from './expiry.js'
import { describeKeys } from './keys.js'
import { describeListing } from './listing.js'
import { describeManyAtOnce } from './many-at-once.js'
import { describeOrder } from './order.js'
import { describeReadsAndWrites } from './reads-and-writes.js'
import { describeRefusals } from './refusals.js'
import { describeValues } from './values.js'

/** Two clients of the same keyspace, there once tests run. */
export interface Clients {
  readonly client: UntypedClient
  readonly other: UntypedClient
}

/** `makeClient` may be called several times: each client must see what the others write. */
export function describeKeyspace(
  name: string,
  makeClient: () => UntypedClient | Promise<UntypedClient>,
): void {
  describe(`keyspace of ${name}`, () => {
    let clients: Clients
    beforeAll(async () => {
      clients = { client: await makeClient(), other: await makeClient() }
    })
    afterAll(async () => {
      await clients.client.close()
      await clients.other.close()
    })
    const parts = [
      describeReadsAndWrites,
      describeManyAtOnce,
      describeConditions,
      describeCounters,
      describeExpiry,
      describeKeys,
      describeValues,
      describeListing,
      describeOrder,
      describeRefusals,
    ]
    for (const part of parts) part(() => clients)
  })
}
