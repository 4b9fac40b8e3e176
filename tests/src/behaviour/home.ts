/**
 * Where a keyspace lives. The behavioural suite runs on any home: in process, on a node of one
 * child or of many, in a browser.
 *
 * To give it another one, call `describeKeyspace(home)` in a file of tests. Nothing in this folder
 * imports Node.js, so a bundle for browsers can hold it: `@kv/client` must resolve to the client
 * under test, and `vitest` to something with `describe` and `test` (each with `.each`, a test in
 * parallel with no other), `beforeAll`, `afterAll` and Vitest's own `expect`.
 */
import type { UntypedClient } from '@kv/client'

export interface Home {
  /** Ends the name of the suite: `keyspace of <name>`. */
  readonly name: string
  /** Called several times, once tests run: each client must see what the others write. */
  makeClient(): UntypedClient | Promise<UntypedClient>
  /** The keyspace's own clock, if it is not the machine's. */
  readonly clock?: HomeClock
}

export interface HomeClock {
  /** Epoch milliseconds. */
  now(): number
  /** Resolves once it is `timeMs` for the keyspace. */
  reach(timeMs: number, client: UntypedClient): Promise<void>
}

let reached = 0

/** Time as it passes for test and node alike. */
export const machineClock: HomeClock = {
  now: () => Date.now(),
  reach: async (expiresAt, client) => {
    reached += 1
    const key = `clock/${reached}`
    for await (const { type } of client.watch(key)) {
      // Written again, it would be another entry whose end is waited for.
      if (type === 'ready') await client.set(key, 'until it is time', { expiresAt })
      if (type === 'expire') return
    }
  },
}
