/**
 * Tells failovers from moves by what clients are told: a shard that lost its primary without being
 * released, and has one again. Pure.
 */
import { NO_CHILD } from '@kv/protocol'
import type { Topology } from '@kv/protocol'
import type { ShardState } from './shard-state.js'
import { shardPhase } from './shard-state.js'

/** A shard has a primary again after it lost the former one. */
export interface Failover {
  readonly shard: number
  /** The child that served it before; it may be the same one, back again. */
  readonly from: number
  readonly to: number
  readonly epoch: number
  /** How long nobody served it. */
  readonly durationMs: number
}

interface Lost {
  readonly from: number
  readonly sinceMs: number
}

export class FailoverWatch {
  private readonly lost = new Map<number, Lost>()
  private before: Topology

  constructor(first: Topology) {
    this.before = first
  }

  /** `nowMs` is monotonic; `shards` are as they stand at the publication. */
  onPublish(next: Topology, shards: readonly ShardState[], nowMs: number): Failover[] {
    const failovers: Failover[] = []
    for (const [shard, to] of next.primaries.entries()) {
      const from = this.before.primaries[shard]!
      if (to === NO_CHILD && from !== NO_CHILD && shardPhase(shards[shard]!) !== 'releasing') {
        this.lost.set(shard, { from, sinceMs: nowMs })
      } else if (to !== NO_CHILD) {
        const lost = this.lost.get(shard)
        this.lost.delete(shard)
        if (lost === undefined) continue
        const epoch = next.epochs[shard]!
        failovers.push({ shard, from: lost.from, to, epoch, durationMs: nowMs - lost.sinceMs })
      }
    }
    this.before = next
    return failovers
  }
}
