/**
 * Every call of the client, on a keyspace in the memory of this process.
 */
import type { UntypedClient } from '@kv/client'
import { createMemoryNode } from '@kv/client/memory'
import type { HomeClock } from './behaviour/home.js'
import { describeKeyspace } from './behaviour/keyspace-behaviour.js'

/** Time that passes when a test says so: expiry is exact. */
class SetClock implements HomeClock {
  private timeMs = 1_700_000_000_000

  now(): number {
    return this.timeMs
  }

  async reach(timeMs: number, client: UntypedClient): Promise<void> {
    this.timeMs = Math.max(this.timeMs, timeMs)
    // The node has no timer for a clock of this kind: it looks with the next call.
    await client.has('clock')
  }
}

const clock = new SetClock()
const node = createMemoryNode({ clock })

describeKeyspace({ name: 'memory', clock, makeClient: () => node.createClient() })
