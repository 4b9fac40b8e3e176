/**
 * Measures how long nobody serves a shard after its child was killed: from the kill to the first
 * acknowledged write, by a client of its own that no other fault is between.
 */
import type { UntypedClient } from '@kv/client'
import { KvError } from '@kv/client'
import { keysOfShard } from '../../scene/placement.js'

/** A shard that is gone for longer is measured as such. */
const GIVE_UP_MS = 20_000

export class FailoverProbe {
  readonly durationsMs: number[] = []
  private readonly client: UntypedClient
  private readonly shardCount: number
  private readonly probing = new Set<Promise<void>>()
  private faults = 0

  constructor(client: UntypedClient, shardCount: number) {
    this.client = client
    this.shardCount = shardCount
  }

  onPrimaryKilled(shard: number): void {
    const probing = this.probe(shard).finally(() => this.probing.delete(probing))
    this.probing.add(probing)
  }

  /** Another fault: what is being measured would be its work, too. */
  disturb(): void {
    this.faults += 1
  }

  private async probe(shard: number): Promise<void> {
    const killedAt = performance.now()
    const { faults } = this
    const [key = ''] = keysOfShard(shard, this.shardCount, 1, 'probe/')
    while (performance.now() - killedAt < GIVE_UP_MS) {
      try {
        await this.client.set(key, killedAt)
        break
      } catch (error) {
        // It was sent to the child that died: the next one waits for its successor.
        if (!(error instanceof KvError)) throw error
      }
    }
    if (this.faults === faults) this.durationsMs.push(performance.now() - killedAt)
  }

  async end(): Promise<void> {
    await Promise.all(this.probing)
  }
}
